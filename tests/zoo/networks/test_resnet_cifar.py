import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.planning import plan
from neocog.zoo.networks.resnet_cifar import VARIANTS, Shrink, resnet_cifar

# The paper's table 6, in millions.
PUBLISHED = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}


def on_meta(variant, **options):
    with torch.device("meta"):
        return resnet_cifar(variant, **options)


def count(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def by_formula(layers):
    """Kernels of 3x3, two numbers for each normed channel, and the dense layer of ten classes."""
    n = (layers - 2) // 6
    kernels = 3 * 16 + 2 * n * 16**2 + (16 * 32 + (2 * n - 1) * 32**2) + (32 * 64 + (2 * n - 1) * 64**2)
    return 9 * kernels + 2 * (16 + 2 * n * (16 + 32 + 64)) + 65 * 10


def test_parameters_are_the_published_ones():
    assert [f"resnet{layers}_cifar" for layers in PUBLISHED] == list(VARIANTS)
    assert count(on_meta("resnet20_cifar")) == 269_722
    for layers, millions in PUBLISHED.items():
        network = on_meta(f"resnet{layers}_cifar")
        assert count(network) == by_formula(layers)
        assert round(count(network) / 1e6, 2 if layers < 110 else 1) == millions
        assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in network.modules()) == layers


def test_shortcuts_have_no_parameters():
    for stage in on_meta("resnet20_cifar").stages:
        for block in stage:
            assert count(block.shortcut) == 0


@pytest.mark.parametrize(("channels", "size"), [(3, (32, 32)), (1, (28, 28)), (2, (33, 7)), (3, (1, 1))])
def test_three_stages_of_which_two_halve(channels, size):
    network = on_meta("resnet32_cifar", in_channels=channels, num_classes=4)
    images = torch.empty(2, channels, *size, device="meta")
    assert [tuple(maps.shape) for maps in network.features(images)] == [
        (2, 16 * 2**i, *(-(-side // 2**i) for side in size)) for i in range(3)
    ]
    assert network(images).shape == (2, 4)


def test_receptive_field():
    """A 3x3 adds twice the jump that it meets: the stem and six of jump 1, then one of 1 and five of 2, one of 2 and
    five of 4."""
    by_hand = 1 + 2 * (7 * 1 + (1 + 5 * 2) + (2 + 5 * 4))
    planned = plan(on_meta("resnet20_cifar"), (3, 32, 32))
    assert planned.row("stages.2.2.branch.2.0").receptive_field == (by_hand, by_hand) == (81, 81)


def test_shrink_takes_every_other_value_and_adds_zeros():
    maps = torch.randn(2, 3, 5, 6)
    shrunk = Shrink()(maps)
    assert shrunk.shape == (2, 6, 3, 3)
    for c in range(3):
        for i in range(3):
            for j in range(3):
                assert torch.equal(shrunk[:, c, i, j], maps[:, c, 2 * i, 2 * j])
    assert not shrunk[:, 3:].any()


def test_logits_are_those_of_the_formulas():
    """All layers of ResNet-20 once more, from its tensors in their order."""
    torch.manual_seed(0)
    network = resnet_cifar("resnet20_cifar").double().eval()
    for tensor in network.state_dict().values():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5)
    tensors = iter([tensor for tensor in network.state_dict().values() if tensor.ndim])

    def conv_norm(maps, stride=1):
        kernel, scale, shift, mean, variance = (next(tensors) for _ in range(5))
        return F.batch_norm(F.conv2d(maps, kernel, stride=stride, padding=1), mean, variance, scale, shift)

    images = torch.randn(2, 3, 17, 20, dtype=torch.float64)
    maps = conv_norm(images).relu()
    for i in range(3):
        for j in range(3):
            stride = 2 if i > 0 and j == 0 else 1
            shortcut = torch.cat([maps[:, :, ::2, ::2], 0 * maps[:, :, ::2, ::2]], 1) if stride == 2 else maps
            maps = (conv_norm(conv_norm(maps, stride).relu()) + shortcut).relu()
    torch.testing.assert_close(network(images), F.linear(maps.mean((2, 3)), next(tensors), next(tensors)))


def test_initial_kernels_have_variance_two_over_nine_times_the_maps_they_make():
    torch.manual_seed(0)
    network = resnet_cifar("resnet110_cifar")
    for stage, width in zip(network.stages, (16, 32, 64), strict=True):
        kernels = torch.cat([block.branch[2][0].weight.detach().flatten() for block in stage])
        assert float(kernels.square().mean()) == pytest.approx(2 / (9 * width), rel=0.05)


def test_all_parameters_learn_and_exported_is_eager():
    torch.manual_seed(0)
    network, images = resnet_cifar("resnet20_cifar", in_channels=2, num_classes=3), torch.randn(3, 2, 9, 12)
    network(images).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(torch.export.export(network, (images,)).module()(images), network(images))
