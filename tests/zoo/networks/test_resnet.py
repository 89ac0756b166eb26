import pytest
import torch
from torch import nn

from neocog.errors import ConfigError
from neocog.layers.initialization import fans
from neocog.planning import plan
from neocog.zoo.networks.resnet import VARIANTS, Residual, resnet

# The plain networks lack the three 1x1 convolutions with norm that double the channels:
# 64 * 128 + 2 * 128 + 128 * 256 + 2 * 256 + 256 * 512 + 2 * 512 parameters.
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "plain18": 11_689_512 - 173_824,
    "plain34": 21_797_672 - 173_824,
}


def on_meta(variant, **options):
    with torch.device("meta"):
        return resnet(variant, **options)


def test_parameters_are_the_published_ones():
    assert PARAMETERS.keys() == VARIANTS.keys()
    for variant, parameters in PARAMETERS.items():
        assert sum(p.numel() for p in on_meta(variant).parameters() if p.requires_grad) == parameters


@pytest.mark.parametrize("variant", ["resnet34", "resnet50", "plain18"])
@pytest.mark.parametrize(("channels", "size"), [(3, (224, 224)), (1, (97, 160)), (5, (1, 1))])
def test_four_stages_from_a_quarter_to_a_thirty_second(variant, channels, size):
    network = on_meta(variant, in_channels=channels, num_classes=7)
    images = torch.empty(2, channels, *size, device="meta")
    factor = 4 if variant == "resnet50" else 1
    assert [tuple(maps.shape) for maps in network.features(images)] == [
        (2, factor * 64 * 2**i, *(-(-side // (4 * 2**i)) for side in size)) for i in range(4)
    ]
    assert network(images).shape == (2, 7)


def test_weighted_layers_on_the_longest_path_give_the_names():
    for variant in VARIANTS:
        layers = [
            name for name, module in on_meta(variant).named_modules() if isinstance(module, nn.Conv2d | nn.Linear)
        ]
        assert sum("shortcut" not in name for name in layers) == int("".join(filter(str.isdigit, variant)))


def test_cost_and_receptive_field():
    """With the stride on the 3x3: 7 in the stem, 2 * 2 for pooling, then 2 * jump for each 3x3, at the jump it meets.

    Araujo et al. 2019 list 483 for a ResNet-50 whose strides stand at the ends of stages. torchvision lists the cost.
    """
    by_hand = 7 + 2 * 2 + 2 * 4 * (3 + 1) + 2 * 8 * (3 + 1) + 2 * 16 * (5 + 1) + 2 * 32 * 2
    assert by_hand == 427
    planned = plan(on_meta("resnet50"), (3, 224, 224))
    assert planned.row("stages.3.2.branch.2.0").receptive_field == (427, 427)
    assert planned.row("stages.3.2.branch.2.0").stride == (32, 32)
    assert round(planned.macs / 1e9, 2) == 4.09
    assert round(plan(on_meta("resnet18"), (3, 224, 224)).macs / 1e9, 2) == 1.81


def test_stride_is_in_the_3x3_and_projections_only_where_shapes_change():
    for variant in ("resnet18", "resnet50"):
        network = on_meta(variant)
        for i, stage in enumerate(network.stages):
            for j, block in enumerate(stage):
                changes = j == 0 and (i > 0 or variant == "resnet50")
                assert isinstance(block.shortcut, nn.Sequential if changes else nn.Identity)
                convs = [module for module in block.branch.modules() if isinstance(module, nn.Conv2d)]
                halving = [conv.kernel_size for conv in convs if conv.stride == (2, 2)]
                assert halving == ([(3, 3)] if i > 0 and j == 0 else [])


def test_a_block_adds_its_input_before_the_last_relu():
    torch.manual_seed(0)
    branch, shortcut = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
    maps = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(Residual(branch, shortcut)(maps), (branch(maps) + shortcut(maps)).clamp(min=0))


def test_a_plain_network_is_the_residual_one_without_shortcuts():
    class Nothing(nn.Module):
        def forward(self, maps):
            return 0.0

    torch.manual_seed(0)
    network, plain = resnet("resnet18", num_classes=4).eval(), resnet("plain18", num_classes=4).eval()
    for block in network.modules():
        if isinstance(block, Residual):
            block.shortcut = Nothing()
    plain.load_state_dict({key.replace(".branch.", ".0."): value for key, value in network.state_dict().items()})
    images = torch.randn(2, 3, 40, 40)
    assert torch.equal(network(images), plain(images))


def test_initial_weights_follow_he_in_the_backbone_alone():
    torch.manual_seed(0)
    network = resnet("resnet18", num_classes=2)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            assert float(module.weight.detach().std()) == pytest.approx((2 / fans(module)[1]) ** 0.5, rel=0.05), name
    assert float(network.head[-1].weight.detach().abs().max()) < 0.1


def test_with_zero_branches_each_block_begins_as_its_shortcut():
    torch.manual_seed(0)
    network = resnet("resnet18", num_classes=3, zero_branches=True)
    maps = network.stem(torch.randn(2, 3, 32, 32))
    for stage in network.stages:
        for block in stage:
            given, maps = maps, block(maps)
            assert torch.equal(maps, block.shortcut(given).relu())
    assert torch.equal(network.stages[0][1].branch[0][1].weight, torch.ones(64))
    assert resnet("resnet18").stages[0][0].branch[-1][1].weight.all()
    with pytest.raises(
        ConfigError, match=r"zero_branches needs shortcuts\. Received: plain18\. Use a residual network"
    ):
        on_meta("plain18", zero_branches=True)


@pytest.mark.parametrize("variant", ["resnet18", "resnet50", "plain18"])
def test_all_parameters_learn(variant):
    torch.manual_seed(0)
    network = resnet(variant, in_channels=2, num_classes=3)
    network(torch.randn(3, 2, 33, 40)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def test_exported_is_eager():
    torch.manual_seed(0)
    network, images = resnet("resnet18", num_classes=3).eval(), torch.randn(2, 3, 33, 40)
    with torch.no_grad():
        torch.testing.assert_close(torch.export.export(network, (images,)).module()(images), network(images))
