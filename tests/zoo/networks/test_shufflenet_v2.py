import pytest
import torch
from torch import nn

from neocog.planning import plan
from neocog.zoo.networks.shufflenet_v2 import VARIANTS, Unit, shuffle, shufflenet_v2

# Parameters as others build it.
PUBLISHED = {
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
}


def on_meta(variant="shufflenet_v2", **options):
    with torch.device("meta"):
        return shufflenet_v2(variant, **options)


def test_parameters():
    counts = {name: sum(p.numel() for p in on_meta(name).parameters() if p.requires_grad) for name in VARIANTS}
    assert counts == PUBLISHED


@pytest.mark.parametrize("pixels", [(224, 224), (65, 128), (1, 1)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_shapes(variant, pixels):
    model = on_meta(variant, in_channels=1, num_classes=6).eval()
    images = torch.empty(2, 1, *pixels, device="meta")
    maps, first = model.features(images), VARIANTS[variant][0]
    for i, found in enumerate(maps):
        step = 8 * 2**i
        assert tuple(found.shape) == (2, first * 2**i, -(-pixels[0] // step), -(-pixels[1] // step))
    assert len(maps) == 3
    assert model(images).shape == (2, 6)


def test_receptive_field_and_cost():
    """3, then 7 in the stem; each unit's 3x3 kernel adds twice its input's stride: 4 + 3 * 8, 8 + 7 * 16, 16 + 3 * 32.

    The paper counts 146 million operations, which is a per cent more than convolutions and the dense layer have.
    """
    planned = plan(on_meta(), (3, 224, 224))
    ends = [planned.row(f"stages.{name}") for name in ("0.3", "1.7", "2.3")]
    assert [row.receptive_field[0] for row in ends] == [63, 303, 527]
    assert ends[-1].receptive_field[0] == 7 + 2 * (4 + 3 * 8 + 8 + 7 * 16 + 16 + 3 * 32)
    assert all(row.exact for row in ends)
    assert planned.macs == pytest.approx(146e6, rel=0.01)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_shuffling_is_torchs_own(groups):
    maps = torch.randn(2, 6, 3, 4)
    assert torch.equal(shuffle(maps, groups), nn.functional.channel_shuffle(maps, groups))


def test_channels_are_taken_from_both_halves_in_turn():
    maps = torch.arange(6.0).view(1, 6, 1, 1)
    assert shuffle(maps, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_half_of_the_channels_pass_a_unit_untouched_and_are_dealt_out():
    torch.manual_seed(0)
    unit, maps = Unit(8, 8, stride=1).eval(), torch.randn(2, 8, 5, 5)
    found = unit(maps)
    assert torch.equal(found[:, ::2], maps[:, :4])
    torch.testing.assert_close(found[:, 1::2], unit.working(maps[:, 4:]))


def test_with_a_stride_both_halves_are_made_from_all_channels():
    torch.manual_seed(0)
    unit, maps = Unit(6, 8, stride=2).eval(), torch.randn(1, 6, 7, 8)
    found = unit(maps)
    assert found.shape == (1, 8, 4, 4)
    torch.testing.assert_close(found[:, ::2], unit.passing(maps))
    torch.testing.assert_close(found[:, 1::2], unit.working(maps))
    for channel in range(6):
        changed = maps.clone()
        changed[:, channel] += 1
        assert (unit(changed) != found).any((0, 2, 3)).reshape(4, 2).any(0).all()


def test_depthwise_convolutions_are_linear():
    """Each 3x3 convolution has as many groups as channels, and its norm meets a 1x1 convolution, no activation."""
    layers = [layer for layer in on_meta().stages.modules() if not list(layer.children())]
    depthwise = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)]
    assert len(depthwise) == 16 + 3  # every unit has one, and the first of each stage two
    for i in depthwise:
        assert layers[i].groups == layers[i].in_channels == layers[i].out_channels
        assert isinstance(layers[i + 1], nn.BatchNorm2d)
        assert isinstance(layers[i + 2], nn.Conv2d) and layers[i + 2].kernel_size == (1, 1)


def test_every_parameter_learns():
    torch.manual_seed(0)
    model = shufflenet_v2("shufflenet_v2_x0_5", in_channels=2, num_classes=3)
    model(torch.randn(4, 2, 64, 64)).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_an_exported_network_gives_the_same():
    model, images = shufflenet_v2("shufflenet_v2_x0_5", num_classes=3).eval(), torch.randn(2, 3, 40, 32)
    torch.testing.assert_close(torch.export.export(model, (images,)).module()(images), model(images))
