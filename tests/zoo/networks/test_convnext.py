import math

import pytest
import torch

from neocog import plan
from neocog.errors import GeometryError
from neocog.layers.stochastic_depth import StochasticDepth
from neocog.zoo.networks.convnext import VARIANTS, Block, ChannelNorm, ConvNeXt, convnext


def on_meta(variant="convnext_tiny", **options):
    with torch.device("meta"):
        return convnext(variant, **options)


def small(stochastic_depth=0.0):
    return ConvNeXt((1, 1, 2, 1), 8, in_channels=3, num_classes=5, stochastic_depth=stochastic_depth)


def drop_rates(model):
    return [module.drop_rate for module in model.modules() if isinstance(module, StochasticDepth)]


@pytest.mark.parametrize(
    ("variant", "parameters"),
    [
        ("convnext_tiny", 28_589_128),
        ("convnext_small", 50_223_688),
        ("convnext_base", 88_591_464),
        ("convnext_large", 197_767_336),
    ],
)
def test_published_parameter_counts(variant, parameters):
    assert sum(p.numel() for p in on_meta(variant).parameters() if p.requires_grad) == parameters


def test_multiplications_and_receptive_field_of_tiny():
    planned = plan(on_meta(), (3, 224, 224))
    assert planned.macs / 1e9 == pytest.approx(4.5, abs=0.05)  # the paper's table 1
    # The stem sees 4 pixels. At steps of 4, 8, 16 and 32, each 7x7 adds 6 steps, and 2x2 patches one step of theirs.
    field = 4 + 6 * (3 * 4 + 3 * 8 + 9 * 16 + 3 * 32) + 4 + 8 + 16
    assert planned.row("stages.3.4.branch.0").receptive_field == (field, field) == (1688, 1688)


def test_stages_have_the_published_shapes():
    model, images = on_meta(), torch.empty(2, 3, 224, 224, device="meta")
    assert [maps.shape for maps in model.features(images)] == [
        (2, 96, 56, 56), (2, 192, 28, 28), (2, 384, 14, 14), (2, 768, 7, 7),
    ]  # fmt: skip
    assert model(images).shape == (2, 1000)


@pytest.mark.parametrize(("in_channels", "num_classes", "height", "width"), [(1, 7, 32, 47), (4, 2, 97, 64)])
def test_other_sizes_channels_and_classes(in_channels, num_classes, height, width):
    model = on_meta(in_channels=in_channels, num_classes=num_classes)
    images = torch.empty(3, in_channels, height, width, device="meta")
    assert model(images).shape == (3, num_classes)
    assert model.features(images)[-1].shape == (3, 768, height // 32, width // 32)


def test_below_32_pixels_the_layer_that_has_too_few_is_named():
    with pytest.raises(GeometryError, match=r"stages\.3\.1 Conv2d.* The network works from 3x32x32 on\."):
        plan(on_meta(), (3, 31, 31))


def test_norm_is_over_the_channels_of_each_place():
    norm, maps = ChannelNorm(5).double(), 3 + 2 * torch.randn(2, 5, 3, 4, dtype=torch.float64)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    normed = norm(maps)
    for n, i, j in ((0, 0, 0), (1, 2, 3), (1, 0, 2)):
        place = maps[n, :, i, j]
        deviation = place - place.mean()
        expected = deviation / (deviation.square().mean() + 1e-6).sqrt() * norm.weight + norm.bias
        torch.testing.assert_close(normed[n, :, i, j], expected)


def test_a_block_adds_a_scaled_depthwise_convolution_and_perceptron():
    torch.manual_seed(0)
    block, maps = Block(4, 0.0).double(), torch.randn(1, 4, 9, 9, dtype=torch.float64)
    torch.nn.init.normal_(block.scale)
    depthwise, norm, widen, _, narrow = block.branch
    n, i, j = 0, 4, 5
    window = maps[n, :, i - 3 : i + 4, j - 3 : j + 4]
    place = (depthwise.weight[:, 0] * window).sum((1, 2)) + depthwise.bias
    place = (place - place.mean()) / (place.var(correction=0) + 1e-6).sqrt() * norm.weight + norm.bias
    hidden = widen.weight[:, :, 0, 0] @ place + widen.bias
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
    added = block.scale[:, 0, 0] * (narrow.weight[:, :, 0, 0] @ hidden + narrow.bias)
    torch.testing.assert_close(block(maps)[n, :, i, j], maps[n, :, i, j] + added)


def test_drop_rates_rise_linearly_to_that_of_the_variant():
    assert drop_rates(on_meta()) == pytest.approx([0.1 * i / 17 for i in range(18)])
    assert [max(drop_rates(on_meta(variant))) for variant in VARIANTS] == pytest.approx([0.1, 0.4, 0.5, 0.5])
    assert max(drop_rates(on_meta("convnext_large", stochastic_depth=0.0))) == 0


def test_stochastic_depth_acts_in_training_alone():
    torch.manual_seed(0)
    model, images = small(stochastic_depth=0.9), torch.randn(8, 3, 32, 32)
    for block in (module for module in model.modules() if isinstance(module, Block)):
        torch.nn.init.ones_(block.scale)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_first_weights_are_the_published_ones():
    torch.manual_seed(0)
    model = ConvNeXt((1, 1), 64, in_channels=3, num_classes=50, stochastic_depth=0.0)
    patches = model.stages[1][1]
    for layer in (patches, model.stages[0][0].branch[2], model.head[-1]):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()
    for block in (model.stages[0][0], model.stages[1][2]):
        assert torch.equal(block.scale, torch.full_like(block.scale, 1e-6))


def test_every_parameter_learns():
    torch.manual_seed(0)
    model = small(stochastic_depth=0.1)
    model(torch.randn(16, 3, 64, 48)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_the_exported_program_takes_other_batches_and_sizes():
    model, images = small(stochastic_depth=0.1).eval(), torch.randn(2, 3, 96, 64)
    auto = torch.export.Dim.AUTO
    program = torch.export.export(model, (images,), dynamic_shapes=({0: auto, 2: auto, 3: auto},)).module()
    for shape in ((1, 3, 64, 64), (3, 3, 64, 160)):
        pictures = torch.randn(shape)
        torch.testing.assert_close(program(pictures), model(pictures))
