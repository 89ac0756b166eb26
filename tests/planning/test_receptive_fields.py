"""Receptive fields against published figures, and against changing every value of the input in turn."""

import numpy as np
import pytest
import torch
from torch import nn

from neocog.planning import plan
from tests.support.dependence import measure_dependence
from tests.support.networks import alexnet, resnet, vgg
from tests.support.random_network import RandomNet

SHAPE = (4, 13, 12)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other over tiny convolutions take minutes on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("seed", range(80))
def test_supports_and_fields_of_random_branched_networks(seed):
    """Support: exactly what changes a unit, channel by channel. Field: holds it everywhere, and is it where no padding
    is met."""
    net = RandomNet(seed)
    found = plan(net, SHAPE)
    net.surrogate = True
    changes = measure_dependence(net, SHAPE)
    last = next(row for row in found.rows if found.trace.operations[row.operation].outputs[0] == found.trace.outputs[0])
    c_out, h_out, w_out = changes.shape[1:]
    draw = np.random.default_rng(seed)
    for _ in range(6):
        channel, i, j = draw.integers(c_out), draw.integers(h_out), draw.integers(w_out)
        expected = changes[:, channel, i, j].reshape(SHAPE)
        assert np.array_equal(found.support(last, (i, j), int(channel)), expected), (channel, i, j)
    kinds = {kind for kind, *_ in net.plan}
    if "reflect" in kinds:  # mirrors the image into what the field calls padding
        return
    anywhere = changes.any(1)
    for axis, field in enumerate(last.fields):
        size = SHAPE[1 + axis]
        for unit in range(changes.shape[2 + axis]):
            seen = anywhere.take(unit, axis=1 + axis).any(1).reshape(SHAPE).any(axis=(0, 2 - axis))
            touched = np.flatnonzero(seen)
            box = field.box(unit)
            if not touched.size:
                assert box is None or box[0] < 0 or box[1] >= size or field.stride == 0
                continue
            assert box[0] <= touched[0] and touched[-1] <= box[1]
            # Behind a crop, which a transposed convolution is too, padding lies on the image.
            if box[0] >= 0 and box[1] < size and not kinds & {"crop", "transposed"}:
                assert box == (touched[0], touched[-1])


def test_published_receptive_fields():
    """AlexNet and VGG-16 at their last pooling (Araujo et al. 2019), ResNet-50 at its last convolution."""
    image = (3, 224, 224)
    with torch.device("meta"):
        networks = alexnet(), vgg((2, 2, 3, 3, 3)), resnet((3, 4, 6, 3))
    alex, sixteen, fifty = (plan(network, image) for network in networks)
    last_pool = [row for row in alex.rows if row.operator == "max_pool2d"][-1]
    assert (last_pool.receptive_field, last_pool.stride, last_pool.offset) == ((195, 195), (32, 32), (-66, -66))
    assert [row for row in sixteen.rows if row.operator == "max_pool2d"][-1].receptive_field == (212, 212)
    last_conv = [row for row in fifty.rows if row.operator == "conv2d"][-1]
    assert (last_conv.receptive_field, last_conv.stride) == ((427, 427), (32, 32))
    assert fifty.rows[-1].whole == (True, True)


def test_two_dilated_layers_see_a_box_of_81_and_touch_25():
    net = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=2, dilation=2) for _ in range(2)))
    found = plan(net, (1, 21, 21))
    row = found.rows[-1]
    assert row.receptive_field == (9, 9)
    assert found.box(row, (10, 10)) == ((6, 14), (6, 14))
    assert found.support(row, (10, 10)).sum() == 25
    assert found.box(row, (0, 0)) == ((0, 4), (0, 4))


class Gate(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.gate(x)


class Attention(nn.Module):
    """A patch embedding and self-attention over its tokens."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.attend = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x):
        maps = self.patches(x)
        tokens = self.attend(maps.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).reshape(maps.shape)


def test_gates_attention_and_statistics_see_the_whole_input():
    image = (3, 16, 16)
    gated = plan(nn.Sequential(nn.Conv2d(3, 8, 3), Gate(8), nn.Conv2d(8, 4, 3)), image)
    assert gated.row("0").receptive_field == (3, 3) and not any(gated.row("0").whole)
    assert all(gated.row("1").whole) and all(gated.row("2").whole)
    attended = plan(Attention(), image)
    assert attended.row("patches").receptive_field == (4, 4)
    assert all(attended.rows[-1].whole)
    for norm in (nn.GroupNorm(2, 8), nn.InstanceNorm2d(8)):
        assert all(plan(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), norm), image).rows[-1].whole)
    frozen = plan(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), image)
    assert frozen.rows[-1].receptive_field == (3, 3)


class Tokens(nn.Module):
    """ConvNeXt's way: depthwise convolution, then channels last for a norm and dense layers."""

    def __init__(self):
        super().__init__()
        self.mix, self.norm, self.dense = nn.Conv2d(4, 4, 7, padding=3, groups=4), nn.LayerNorm(4), nn.Linear(4, 4)

    def forward(self, x):
        return x + self.dense(self.norm(self.mix(x).permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


def test_a_norm_over_channels_leaves_the_field_alone():
    assert plan(Tokens(), (4, 20, 20)).rows[-1].receptive_field == (7, 7)


class Apart(nn.Module):
    """Two branches of different width, of which one is taken out again."""

    def __init__(self, kept):
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(2, 4, 1), nn.Conv2d(2, 4, 5, padding=2)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.kept = kept

    def forward(self, x):
        return self.depthwise(torch.cat([self.narrow(x), self.wide(x)], 1))[:, self.kept]


@pytest.mark.parametrize(
    ("move", "fields"),
    [
        (lambda x: x.roll(1, 1), [5, 1, 1, 1, 1, 5, 5, 5]),
        (lambda x: x.roll(-3, 1), [1, 5, 5, 5, 5, 1, 1, 1]),
        (lambda x: nn.functional.channel_shuffle(x, 2), [1, 5] * 4),
        (lambda x: nn.functional.channel_shuffle(x, 4), [1, 1, 5, 5] * 2),
        (lambda x: x.flip(1), [5, 5, 5, 5, 1, 1, 1, 1]),
        (lambda x: nn.functional.pad(x, (0, 0, 0, 0, 1, -1)), [0, 1, 1, 1, 1, 5, 5, 5]),
    ],
)
def test_channels_that_move_keep_their_fields(move, fields):
    for channel, field in enumerate(fields):
        net = Moved(move, channel)
        assert plan(net, (2, 16, 16)).rows[-1].receptive_field == (field, field), channel


class Moved(nn.Module):
    """Four channels that see 1x1 and four that see 5x5, moved, of which one is taken."""

    def __init__(self, move, channel):
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(2, 4, 1), nn.Conv2d(2, 4, 5, padding=2)
        self.move, self.channel = move, channel

    def forward(self, x):
        return self.move(torch.cat([self.narrow(x), self.wide(x)], 1))[:, self.channel]


def test_channels_are_told_apart():
    image = (2, 16, 16)
    assert plan(Apart(slice(0, 4)), image).rows[-1].receptive_field == (3, 3)
    assert plan(Apart(slice(2, 6)), image).rows[-1].receptive_field == (7, 7)
    assert plan(Apart([0, 3]), image).rows[-1].known


class Unpool(nn.Module):
    """SegNet's pair of pooling and unpooling by switches."""

    def __init__(self, window, stride):
        super().__init__()
        self.down, self.up = nn.MaxPool2d(window, stride, return_indices=True), nn.MaxUnpool2d(window, stride)

    def forward(self, x):
        pooled, switches = self.down(x)
        return self.up(pooled, switches, x.shape[-2:])


@pytest.mark.parametrize(("window", "stride", "field"), [(2, 2, 2), (3, 2, 5), (3, 3, 3)])
def test_unpooling_reads_the_windows_that_hold_a_place(window, stride, field):
    assert plan(Unpool(window, stride), (1, 15, 15)).rows[-1].receptive_field == (field, field)


class Filled(nn.Module):
    """Writes into a part of a tensor in place."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3)

    def forward(self, x):
        canvas = x.new_zeros(1, 1, 10, 10)
        canvas[:, :, 1:9, 1:9] = self.conv(x)
        return canvas + 1


def test_writing_into_a_view_is_never_missed():
    found = plan(Filled(), (1, 10, 10))
    assert found.rows[-1].operator == "add" and all(found.rows[-1].whole)


class Pairs(nn.Module):
    """Every place with every place: the scores of an attention without its softmax."""

    def forward(self, x):
        return x.mT @ x


def test_no_place_moves_with_an_element_of_all_pairs():
    row = plan(Pairs(), (2, 8)).rows[-1]
    assert row.whole == (True,) and not row.exact


class Windows(nn.Module):
    """Swin's windows: an axis cut into pieces, and put together again."""

    def __init__(self, size):
        super().__init__()
        self.size, self.dense = size, nn.Linear(4 * size * size, 4 * size * size)

    def forward(self, x):
        n, c, h, w = x.shape
        k = self.size
        cut = x.view(n, c, h // k, k, w // k, k).permute(0, 2, 4, 1, 3, 5).reshape(n, -1, c * k * k)
        mixed = self.dense(cut).view(n, h // k, w // k, c, k, k)
        return mixed.permute(0, 3, 1, 4, 2, 5).reshape(n, c, h, w)


def test_windows_cut_and_put_together_are_followed():
    found = plan(Windows(3), (4, 12, 9))
    linear = next(row for row in found.rows if row.operator == "linear")
    assert (linear.receptive_field, linear.exact) == ((3, 3), True)
    last = found.rows[-1]
    assert last.exact and [last.fields[0].box(unit) for unit in (2, 3, 5, 6)] == [(0, 2), (3, 5), (3, 5), (6, 8)]


def test_an_axis_repeated_by_views_is_an_upsampling():
    row = plan(RepeatedRows(), (4, 6, 6)).rows[-1]
    assert row.stride == (0.5, 1) and row.receptive_field == (1, 1)
    assert [row.fields[0].box(unit) for unit in range(4)] == [(0, 0), (0, 0), (1, 1), (1, 1)]


class RepeatedRows(nn.Module):
    def forward(self, x):
        return x.repeat_interleave(2, 2)


class Behind(nn.Module):
    """An operation that is not known, and one behind it."""

    def forward(self, x):
        return torch.fft.rfft2(x).real + 1


def test_what_is_behind_an_unknown_operation_is_an_upper_bound():
    rows = plan(Behind(), (2, 8, 8)).rows
    assert not rows[0].known and rows[-1].known
    assert not any(row.exact for row in rows)
    assert not any(entry["exact"] for entry in plan(Behind(), (2, 8, 8)).to_json()["rows"])


def test_coprime_resizes_do_not_multiply():
    net = nn.Sequential(*(layer for size in (97, 199, 307) for layer in (nn.Upsample(size), nn.Conv1d(2, 2, 3))))
    assert len(plan(net, (2, 113)).rows[-1].fields[0].windows) <= 307


def test_an_unknown_operation_is_taken_to_read_everything_and_says_so():
    class Warp(nn.Module):
        def forward(self, x):
            grid = torch.zeros(1, 4, 4, 2, dtype=x.dtype)
            return nn.functional.grid_sample(x, grid, align_corners=False)

    row = plan(Warp(), (1, 10, 10)).rows[-1]
    assert not row.known and all(row.whole)


def test_an_upsampled_map_is_told_unit_by_unit():
    """A transposed convolution of kernel 4 and stride 2: outputs take turns, each reads two inputs."""
    row = plan(nn.ConvTranspose2d(1, 1, 4, 2, 1), (1, 8, 8)).rows[-1]
    assert row.receptive_field == (2, 2)
    assert [row.fields[0].box(unit) for unit in (2, 3, 4)] == [(0, 1), (1, 2), (1, 2)]
