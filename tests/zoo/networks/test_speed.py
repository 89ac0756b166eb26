import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.errors import ConfigError
from neocog.planning import plan
from neocog.zoo.networks.speed import SpeedNet


def on_meta(**options):
    with torch.device("meta"):
        return SpeedNet(**options)


def pictures(num=256, channels=3, size=16):
    """Smooth noise, whose neighbouring values and channels go together."""
    noise = torch.randn(num, channels, size, size, dtype=torch.float64)
    smooth = F.avg_pool2d(noise, 3, stride=1, padding=1) * 3
    return (smooth + smooth.mean(1, keepdim=True)).float()


def frozen(model):
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


SCALES = {f"stages.{i}.{j}.weight" for i in range(3) for j in (2, 5)}


def test_parameter_counts():
    # The bias of the first layer, six convolutions, a shift for each normalised map, the head without bias.
    convolutions = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    learning = 24 + convolutions + 2 * (64 + 256 + 256) + 256 * 10
    model = on_meta()
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == learning == 1_971_352
    assert sum(p.numel() for p in model.parameters() if not p.requires_grad) == 24 * 12 + 2 * (64 + 256 + 256) == 1_440


@pytest.mark.parametrize(("channels", "size", "widths"), [(3, (32, 32), (64, 256, 256)), (1, (28, 9), (8, 16, 24))])
def test_shapes(channels, size, widths):
    model = on_meta(in_channels=channels, num_classes=7, widths=widths)
    images = torch.empty(2, channels, *size, device="meta")
    sizes = [tuple((side - 1) // 2**i for side in size) for i in (1, 2, 3)]
    assert [maps.shape for maps in model.features(images)] == [(2, c, *s) for c, s in zip(widths, sizes, strict=True)]
    assert model.stem(images).shape == (2, 8 * channels, size[0] - 1, size[1] - 1)
    assert model(images).shape == (2, 7)


def test_a_stem_stride_of_two_halves_all_maps():
    model = on_meta(in_channels=1, widths=(8, 16), stem_stride=2)
    images = torch.empty(2, 1, 28, 28, device="meta")
    assert model.stem(images).shape == (2, 8, 14, 14)
    assert [maps.shape for maps in model.features(images)] == [(2, 8, 7, 7), (2, 16, 3, 3)]


def test_depths_and_activation_change_the_stages():
    model = on_meta(in_channels=1, widths=(8, 16), depths=(1, 3), activation="relu")
    kinds = [[type(layer).__name__ for layer in stage] for stage in model.stages]
    first, more = ["Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU"], ["Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds == [first, [*first, *more, *more]]
    assert isinstance(model.stem[1], nn.ReLU)


def test_each_stage_needs_a_depth():
    with pytest.raises(ConfigError, match="a number for each stage.*Received: 1 depths and 2 widths. Set both"):
        on_meta(widths=(8, 16), depths=(2,))


def test_receptive_field():
    # 2x2: 2. In each group 3x3, pooling 2x2 at the same steps, then 3x3 at steps twice as large:
    # 2+2+1+4 = 9, 9+4+2+8 = 23, 23+8+4+16 = 51. The head's pooling sees 3x3 places 8 apart: 51 + 16 = 67.
    found = plan(on_meta(), (3, 32, 32))
    fields = [found.row(name).receptive_field for name in ("stages.0.6", "stages.1.6", "stages.2.6", "head.0")]
    assert fields == [(9, 9), (23, 23), (51, 51), (67, 67)]


def test_logits_are_those_of_plain_functions():
    model = SpeedNet(widths=(24, 20, 30)).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(), module.running_var.uniform_(0.5, 2), nn.init.normal_(module.bias)
    t = model.state_dict()

    def norm(maps, name):
        shape = (1, -1, 1, 1)
        centred = maps - t[f"{name}.running_mean"].view(shape)
        return centred / t[f"{name}.running_var"].view(shape).sqrt() + t[f"{name}.bias"].view(shape)  # no scale

    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    maps = F.gelu(F.conv2d(images, t["stem.0.weight"], t["stem.0.bias"]))
    for i in range(3):
        maps = F.max_pool2d(F.conv2d(maps, t[f"stages.{i}.0.weight"], padding=1), 2)
        maps = F.gelu(norm(maps, f"stages.{i}.2"))
        maps = F.gelu(norm(F.conv2d(maps, t[f"stages.{i}.4.weight"], padding=1), f"stages.{i}.5"))
    logits = F.max_pool2d(maps, 3).flatten(1) @ t["head.2.weight"].T / 9
    torch.testing.assert_close(model(images), logits)


def test_whitening_makes_patches_uncorrelated_and_of_variance_one():
    images, model = pictures(), SpeedNet()
    plain = F.unfold(images, 2).transpose(0, 1).flatten(1).cov()
    assert (plain - torch.eye(12)).abs().max() > 0.3
    assert model.whiten(images) is model
    values = model.stem[0](images).transpose(0, 1).flatten(1)
    torch.testing.assert_close(values[:12].cov(), torch.eye(12), rtol=0.05, atol=0.05)
    torch.testing.assert_close(values[12:], -values[:12])
    assert not model.stem[0].weight.requires_grad and not model.stem[0].bias.any()


def test_before_whitening_the_first_filters_rotate_patches():
    first = SpeedNet(in_channels=2).stem[0]
    weight = first.weight.flatten(1)
    assert weight.shape == (16, 8) and not first.bias.any()
    torch.testing.assert_close(weight[:8] @ weight[:8].T, torch.eye(8))
    assert torch.equal(weight[8:], -weight[:8])


def test_convolutions_pass_their_input_through_at_first():
    model = SpeedNet()
    for i, channels in enumerate((24, 64, 256)):
        maps = torch.randn(2, channels, 8, 8)
        torch.testing.assert_close(model.stages[i][0](maps)[:, :channels], maps)
    assert model.stages[0][0].weight[24:].abs().min() > 0  # the others are random


def test_statistics_follow_four_tenths_of_the_way():
    norm = SpeedNet().stages[0][2]
    maps = torch.randn(16, 64, 8, 8) * 3 + 5
    norm(maps)
    torch.testing.assert_close(norm.running_mean, 0.4 * maps.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, 0.6 + 0.4 * maps.var((0, 2, 3)))


def test_filters_and_scales_stay_frozen_whatever_is_freed():
    model = SpeedNet()
    assert frozen(model) == {"stem.0.weight"} | SCALES
    assert "stages.0.0.weight" in frozen(model.freeze(1))
    assert frozen(model.unfreeze()) == {"stem.0.weight"} | SCALES


def test_gradients_reach_everything_that_learns():
    model = SpeedNet(widths=(32, 32, 32))
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert {name for name, p in model.named_parameters() if p.grad is None} == {"stem.0.weight"} | SCALES
    learning = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad.isfinite().all() and p.grad.any() for p in learning)


def test_it_is_exported_with_the_same_logits():
    model, images = SpeedNet().eval(), torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(torch.export.export(model, (images,)).module()(images), model(images))
