import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog import plan
from neocog.layers.stochastic_depth import StochasticDepth
from neocog.zoo import model_info
from neocog.zoo.networks.efficientnet_lite import EfficientNetLite, HalvingConv2d, depths, efficientnet_lite


def on_meta(variant="efficientnet_lite0", **options):
    with torch.device("meta"):
        return efficientnet_lite(variant, **options)


def small(**options):
    """A quarter as wide as Lite0, half as deep."""
    rates = {"dropout": 0.0, "stochastic_depth": 0.0} | options
    return EfficientNetLite(0.25, 0.5, in_channels=3, num_classes=5, **rates)


@pytest.mark.parametrize(
    ("variant", "millions", "size", "dropout"),
    [
        ("efficientnet_lite0", 4.7, 224, 0.2),
        ("efficientnet_lite1", 5.4, 240, 0.2),
        ("efficientnet_lite2", 6.1, 260, 0.3),
    ],
)
def test_published_sizes_parameters_and_dropout(variant, millions, size, dropout):
    model = on_meta(variant)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == millions
    assert model_info(variant).input_size == (size, size)
    assert model.head[-2].p == dropout


def test_stem_head_and_the_depths_of_the_first_and_last_stage_are_not_scaled():
    model = on_meta("efficientnet_lite2")
    assert model.stem[0].out_channels == 32 and model.head[0].out_channels == 1280
    assert [len(stage) for stage in model.stages] == depths(1.2) == [1, 3, 3, 4, 4, 5, 1]
    sizes = (130, 65, 33, 17, 17, 9, 9)
    features = model.features(torch.empty(2, 3, 260, 260, device="meta"))
    widths = (16, 24, 48, 88, 120, 208, 352)
    assert [maps.shape for maps in features] == [(2, c, n, n) for c, n in zip(widths, sizes, strict=True)]


def test_nothing_is_squeezed_and_relu6_is_the_only_activation():
    kinds = {type(module) for module in on_meta().modules() if not list(module.children())}
    norms = [module for module in on_meta().modules() if isinstance(module, nn.BatchNorm2d)]
    convs, ends = {nn.Conv2d, HalvingConv2d, nn.Linear}, {nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout}
    assert kinds == {*convs, *ends, nn.BatchNorm2d, nn.ReLU6, StochasticDepth}
    assert {norm.eps for norm in norms} == {1e-3}


def same_padding(maps, kernel, groups):
    """TensorFlow's SAME: ceil(n / 2) outputs, the padding divided, and the odd row behind."""
    around = []
    for size in reversed(maps.shape[-2:]):
        total = max((-(-size // 2) - 1) * 2 + kernel.shape[-1] - size, 0)
        around += [total // 2, total - total // 2]
    return F.conv2d(F.pad(maps, around), kernel, stride=2, groups=groups)


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("sides", [(8, 8), (9, 9), (8, 7), (1, 2)])
@pytest.mark.parametrize("groups", [1, 4])
def test_padding_at_stride_2_is_that_of_tensorflow_both_ways(kernel_size, sides, groups):
    conv = HalvingConv2d(4, 8, kernel_size, groups).double()
    maps = torch.randn(2, 4, *sides, dtype=torch.float64)
    expected = same_padding(maps, conv.weight, groups)
    torch.testing.assert_close(conv.pad_maps(maps), expected)
    torch.testing.assert_close(conv.pad_kernels(maps), expected)
    torch.testing.assert_close(conv(maps), expected)


def test_851_pixels_are_seen_as_by_b0_without_its_gates():
    assert plan(on_meta(), (3, 224, 224)).row("stages.6.0.1.0").receptive_field[0] == 851


@pytest.mark.parametrize(
    ("in_channels", "num_classes", "height", "width"), [(1, 7, 61, 100), (4, 2, 32, 33), (2, 3, 1, 1)]
)
def test_other_sizes_channels_and_classes(in_channels, num_classes, height, width):
    model = on_meta(in_channels=in_channels, num_classes=num_classes).eval()
    assert model(torch.empty(3, in_channels, height, width, device="meta")).shape == (3, num_classes)


def test_drop_rates_rise_linearly_over_the_blocks():
    rates = [m.drop_rate for m in on_meta(stochastic_depth=0.8).modules() if isinstance(m, StochasticDepth)]
    # Of 16 blocks, those that do not begin a stage have a shortcut.
    assert rates == pytest.approx([0.8 * i / 16 for i in (2, 4, 6, 7, 9, 10, 12, 13, 14)])


@pytest.mark.parametrize("options", [{"dropout": 0.9}, {"stochastic_depth": 0.9}])
def test_options_act_in_training_alone(options):
    torch.manual_seed(0)
    model, images = small(**options), torch.randn(4, 3, 32, 32)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_every_parameter_learns():
    torch.manual_seed(0)
    model = small()
    model(torch.randn(3, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_exported_it_computes_the_same_for_any_batch():
    model, images = small(stochastic_depth=0.2).eval(), torch.randn(2, 3, 48, 41)
    exported = torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},))
    batch = torch.randn(5, 3, 48, 41)
    torch.testing.assert_close(exported.module()(batch), model(batch))
