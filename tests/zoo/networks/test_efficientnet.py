import math

import pytest
import torch
from torch import nn

from neocog import plan
from neocog.layers.squeeze_excitation import SqueezeExcitation
from neocog.layers.stochastic_depth import StochasticDepth
from neocog.zoo.networks.efficientnet import EfficientNet, Residual, depths, efficientnet, mbconv

B0_WIDTHS = (16, 24, 40, 80, 112, 192, 320)


def on_meta(variant="efficientnet_b0", **options):
    with torch.device("meta"):
        return efficientnet(variant, **options)


def small(**options):
    """A quarter as wide as B0, half as deep."""
    rates = {"dropout": 0.0, "stochastic_depth": 0.0} | options
    return EfficientNet(0.25, 0.5, in_channels=3, num_classes=5, **rates)


@pytest.mark.parametrize(
    ("variant", "parameters", "dropout"),
    [
        ("efficientnet_b0", 5_288_548, 0.2),
        ("efficientnet_b1", 7_794_184, 0.2),
        ("efficientnet_b2", 9_109_994, 0.3),
        ("efficientnet_b3", 12_233_232, 0.3),
        ("efficientnet_b4", 19_341_616, 0.4),
    ],
)
def test_published_parameter_counts_and_dropout(variant, parameters, dropout):
    model = on_meta(variant)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == parameters
    assert model.head[-2].p == dropout


def test_multiplications_of_b0_are_those_of_the_papers_table_2():
    assert plan(on_meta(), (3, 224, 224)).macs / 1e9 == pytest.approx(0.39, abs=0.005)


def test_stages_have_the_shapes_of_the_papers_table_1():
    model, images = on_meta(), torch.empty(2, 3, 224, 224, device="meta")
    sizes = (112, 56, 28, 14, 14, 7, 7)
    expected = [(2, c, size, size) for c, size in zip(B0_WIDTHS, sizes, strict=True)]
    assert [maps.shape for maps in model.features(images)] == expected
    assert [len(stage) for stage in model.stages] == [1, 2, 2, 3, 3, 4, 1]
    assert model(images).shape == (2, 1000)


@pytest.mark.parametrize(
    ("in_channels", "num_classes", "height", "width"), [(1, 7, 61, 100), (4, 2, 32, 33), (2, 3, 1, 1)]
)
def test_other_sizes_channels_and_classes(in_channels, num_classes, height, width):
    model = on_meta(in_channels=in_channels, num_classes=num_classes).eval()
    images = torch.empty(3, in_channels, height, width, device="meta")
    assert model(images).shape == (3, num_classes)
    assert model.features(images)[-1].shape == (3, 320, math.ceil(height / 32), math.ceil(width / 32))


def test_width_and_depth_are_scaled_as_published():
    assert depths(1.8) == [2, 4, 4, 6, 6, 8, 2]  # B4
    model = on_meta("efficientnet_b4", dropout=0.0)
    assert model.head[-2].p == 0
    features = model.features(torch.empty(2, 3, 32, 32, device="meta"))
    assert [maps.shape[1] for maps in features] == [24, 32, 56, 112, 160, 272, 448]
    assert model.stem[0].out_channels == 48 and model.head[0].out_channels == 1792


def test_gates_see_the_whole_input_and_without_them_851_pixels_are_seen():
    model = on_meta()
    assert plan(model, (3, 224, 224)).row("stages.0.0.1.gate").whole == (True, True)
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, SqueezeExcitation):
                setattr(module, name, nn.Identity())
    # Each depthwise kernel of k adds k - 1 steps. Stem and stages in turn, by the step at their input:
    steps = [(3, 1), (3, 2), (3, 2), (3, 4), (5, 4), (5, 8), (3, 8), *[(3, 16)] * 2, *[(5, 16)] * 3, (5, 16)]
    steps += [*[(5, 32)] * 3, (3, 32)]
    row = plan(model, (3, 224, 224)).row("stages.6.0.1.0")
    assert row.receptive_field[0] == 1 + sum((kernel - 1) * step for kernel, step in steps) == 851


def test_shortcuts_are_where_shapes_agree():
    assert isinstance(mbconv(16, 16, 6, 3, 1, 0.0), Residual)
    assert not isinstance(mbconv(16, 16, 6, 3, 2, 0.0), Residual)
    assert not isinstance(mbconv(16, 24, 6, 3, 1, 0.0), Residual)
    block, maps = mbconv(16, 16, 6, 5, 1, 0.0).eval(), torch.randn(2, 16, 8, 8)
    assert not torch.equal(block(maps), maps)
    nn.init.zeros_(block[3][1].weight)
    assert torch.equal(block(maps), maps)


def test_gates_squeeze_to_a_quarter_of_what_enters_the_block():
    gates = [module for module in on_meta().modules() if isinstance(module, SqueezeExcitation)]
    entering = [32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192]
    assert [gate.reduce.out_channels for gate in gates] == [channels // 4 for channels in entering]
    assert all(isinstance(gate.activation, nn.SiLU) and isinstance(gate.gate, nn.Sigmoid) for gate in gates)


def test_drop_rates_rise_linearly_over_the_blocks():
    rates = [m.drop_rate for m in on_meta(stochastic_depth=0.8).modules() if isinstance(m, StochasticDepth)]
    # Of 16 blocks, those that do not begin a stage have a shortcut.
    assert rates == pytest.approx([0.8 * i / 16 for i in (2, 4, 6, 7, 9, 10, 12, 13, 14)])
    assert max(m.drop_rate for m in on_meta().modules() if isinstance(m, StochasticDepth)) == pytest.approx(0.175)


@pytest.mark.parametrize("options", [{"dropout": 0.9}, {"stochastic_depth": 0.9}])
def test_options_act_in_training_alone(options):
    torch.manual_seed(0)
    model, images = small(**options), torch.randn(4, 3, 32, 32)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_first_weights_are_those_of_the_authors_code():
    torch.manual_seed(0)
    model = efficientnet("efficientnet_b0", num_classes=100)
    widen, filtering, gate, narrow = model.stages[5][1][:4]
    # Normal, of variance 2 / (outputs of one input); uniform within 1 / sqrt(classes) in the last layer.
    for conv, fan_out in ((widen[0], 1152), (filtering[0], 25), (gate.expand, 1152), (narrow[0], 192)):
        assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.02)
        assert conv.bias is None or not conv.bias.any()
    dense = model.head[-1]
    assert 0.0999 < dense.weight.max() <= 0.1 and -0.1 <= dense.weight.min() < -0.0999 and not dense.bias.any()


def test_every_parameter_learns():
    torch.manual_seed(0)
    model = small()
    model(torch.randn(3, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_exported_it_computes_the_same_for_any_batch():
    model, images = small(stochastic_depth=0.2).eval(), torch.randn(2, 3, 48, 40)
    exported = torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},))
    batch = torch.randn(5, 3, 48, 40)
    torch.testing.assert_close(exported.module()(batch), model(batch))
