import pytest
import torch
from torch import nn

from neocog.planning import plan
from neocog.zoo.networks.mobilenet_v2 import InvertedResidual, MobileNetV2

# Parameters by width, as others build it.
PUBLISHED = {0.35: 1_677_128, 0.5: 1_968_680, 0.75: 2_636_424, 1.0: 3_504_872, 1.3: 5_386_792, 1.4: 6_108_776}


def on_meta(**options):
    with torch.device("meta"):
        return MobileNetV2(**options)


def shaken_block(c_in, c_out, stride=1):
    """A block in double precision whose norms do something, in evaluation mode."""
    torch.manual_seed(0)
    block = InvertedResidual(c_in, c_out, expansion=6, stride=stride).double().eval()
    for norm in (module for module in block.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return block


@pytest.mark.parametrize("width", PUBLISHED)
def test_parameters(width):
    assert sum(p.numel() for p in on_meta(width=width).parameters() if p.requires_grad) == PUBLISHED[width]


@pytest.mark.parametrize("pixels", [(224, 224), (96, 160), (33, 1)])
def test_each_stage_halves(pixels):
    model = on_meta(in_channels=4, num_classes=9).eval()
    images = torch.empty(2, 4, *pixels, device="meta")
    maps = model.features(images)
    assert [m.shape[1] for m in maps] == [16, 24, 32, 96, 320]
    for step, found in zip((2, 4, 8, 16, 32), maps, strict=True):
        assert tuple(found.shape[2:]) == tuple(-(-size // step) for size in pixels)
    assert model(images).shape == (2, 9)


def test_receptive_field_and_cost():
    """3 in the stem; a 3x3 kernel adds twice the stride so far: 2, 2 + 4, 4 + 2 * 8, 8 + 6 * 16, 16 + 3 * 32 of 2.

    The paper's table 4 has 300 million multiply-adds.
    """
    planned = plan(on_meta(), (3, 224, 224))
    last = planned.row("stages.4.3.branch.4.1")
    assert (last.receptive_field, last.stride) == ((491, 491), (32, 32))
    assert last.receptive_field[0] == 3 + 2 * (2 + (2 + 4) + (4 + 2 * 8) + (8 + 6 * 16) + (16 + 3 * 32))
    assert planned.macs // 10**6 == 300


def test_blocks_are_wide_inside_and_filter_each_channel_alone():
    for block in (module for module in on_meta().modules() if isinstance(module, InvertedResidual)):
        *widen, filtering, narrow = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
        assert filtering.groups == filtering.in_channels == filtering.out_channels
        assert narrow.in_channels == filtering.in_channels
        for conv in widen:
            assert conv.out_channels == 6 * conv.in_channels
        assert {conv.kernel_size for conv in (*widen, narrow)} == {(1, 1)}


def test_the_shortcut_is_there_where_shapes_agree():
    maps = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    for c_out, stride, adds in ((8, 1, True), (8, 2, False), (16, 1, False)):
        block = shaken_block(8, c_out, stride)
        expected = block.branch(maps) + maps if adds else block.branch(maps)
        torch.testing.assert_close(block(maps), expected)


def test_the_bottleneck_is_linear():
    """Turning the last norm's sign turns what the branch adds, which no activation behind it would let happen."""
    block, maps = shaken_block(8, 8), torch.randn(2, 8, 6, 6, dtype=torch.float64)
    added = block(maps) - maps
    last = block.branch[-1][1]
    with torch.no_grad():
        last.weight.neg_()
        last.bias.neg_()
    torch.testing.assert_close(block(maps) - maps, -added)
    assert (added < 0).any() and (added > 0).any()


def test_activations_stop_at_six():
    stem = MobileNetV2(width=0.35).eval().stem
    widen = InvertedResidual(4, 4, expansion=6, stride=1).eval().branch[:2]
    for part, channels in ((stem, 3), (widen, 4)):
        found = part(1e4 * torch.randn(1, channels, 8, 8))
        assert (found.min(), found.max()) == (0, 6)


def test_dropout_acts_on_the_head_in_training_alone():
    model, images = MobileNetV2(num_classes=2, width=0.35).eval(), torch.randn(4, 3, 32, 32)
    assert torch.equal(model(images), model(images))
    for dropout, training, same in ((0.2, False, True), (0.0, True, True), (0.2, True, False)):
        head = MobileNetV2(num_classes=2, width=0.35, dropout=dropout).head[4:].train(training)
        pooled = torch.randn(4, 1280)
        assert torch.equal(head(pooled), head(pooled)) == same


def test_every_parameter_learns():
    torch.manual_seed(0)
    model = MobileNetV2(in_channels=2, num_classes=3, width=0.35)
    model(torch.randn(4, 2, 64, 64)).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_an_exported_network_gives_the_same():
    model, images = MobileNetV2(num_classes=3, width=0.35).eval(), torch.randn(2, 3, 40, 32)
    torch.testing.assert_close(torch.export.export(model, (images,)).module()(images), model(images))
