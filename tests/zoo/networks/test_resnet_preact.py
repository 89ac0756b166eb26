import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.planning import plan
from neocog.zoo.networks.resnet_preact import VARIANTS, resnet_preact

# Blocks in each stage, from the tables of He et al. 2015 and 2016.
DEPTHS = {
    "preact_resnet18": (2, 2, 2, 2),
    "preact_resnet34": (3, 4, 6, 3),
    "preact_resnet50": (3, 4, 6, 3),
    "preact_resnet101": (3, 4, 23, 3),
    "preact_resnet152": (3, 8, 36, 3),
    "preact_resnet200": (3, 24, 36, 3),
    "preact_resnet164_cifar": (18, 18, 18),
}


def on_meta(variant, **options):
    with torch.device("meta"):
        return resnet_preact(variant, **options)


def weights_and_scales(variant):
    """Weights of convolutions and the dense layer, and scales and shifts of norms, counted layer by layer."""
    small, thin = "cifar" in variant, variant.endswith(("18", "34"))
    weights, normed = (9 * 3 * 16, 16) if small else (49 * 3 * 64, 64)
    c_in = 16 if small else 64
    for i, depth in enumerate(DEPTHS[variant]):
        inner = (16 if small else 64) * 2**i
        c_out = inner if thin else 4 * inner
        for j in range(depth):
            if thin:
                weights += 9 * c_in * inner + 9 * inner * inner
                normed += c_in + inner
            else:
                weights += c_in * inner + 9 * inner * inner + inner * c_out
                normed += c_in + 2 * inner
            if j == 0 and c_in != c_out:
                weights += c_in * c_out
            if i == j == 0:
                normed -= c_in  # the stem's norm serves the first block
            c_in = c_out
    return weights + (10 if small else 1000) * (c_in + 1), 2 * (normed + c_in)


def test_layers_and_parameters_follow_from_the_tables():
    """A name counts the layers with weights on the longest path. The paper lists 1.7 and 10.2 million parameters for
    CIFAR's networks, norms aside."""
    assert DEPTHS.keys() == VARIANTS.keys()
    for variant in DEPTHS:
        network = on_meta(variant, num_classes=10 if "cifar" in variant else 1000)
        counts = [0, 0]
        for module in network.modules():
            counts[isinstance(module, nn.BatchNorm2d)] += sum(p.numel() for p in module.parameters(recurse=False))
        assert tuple(counts) == weights_and_scales(variant)
        layers = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        expected = variant.removeprefix("preact_resnet").removesuffix("_cifar")
        assert sum("projection" not in name for name in layers) == int(expected)
    assert sum(weights_and_scales("preact_resnet50")) == 25_549_352
    assert round(weights_and_scales("preact_resnet164_cifar")[0] / 1e6, 1) == 1.7


@pytest.mark.parametrize(
    ("variant", "c_first", "step"),
    [("preact_resnet34", 64, 4), ("preact_resnet50", 256, 4), ("preact_resnet164_cifar", 64, 1)],
)
@pytest.mark.parametrize(("channels", "size"), [(3, (224, 160)), (1, (33, 1))])
def test_each_stage_after_the_first_halves(variant, c_first, step, channels, size):
    network = on_meta(variant, in_channels=channels, num_classes=6)
    images = torch.empty(2, channels, *size, device="meta")
    assert [tuple(maps.shape) for maps in network.features(images)] == [
        (2, c_first * 2**i, *(-(-side // (step * 2**i)) for side in size)) for i in range(len(DEPTHS[variant]))
    ]
    assert network(images).shape == (2, 6)


def test_receptive_field_is_that_of_resnet_50():
    """The kernels and strides are the same: see test_resnet.py."""
    row = plan(on_meta("preact_resnet50"), (3, 224, 224)).row("stages.3.2.branch.2")
    assert row.receptive_field == (427, 427)


def shaken(variant, **options):
    """In double precision and evaluation mode, with norms that do something."""
    torch.manual_seed(0)
    network = resnet_preact(variant, **options).double().eval()
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        for tensor in (norm.weight, norm.running_var):
            nn.init.uniform_(tensor, 0.5, 1.5)
        for tensor in (norm.bias, norm.running_mean):
            nn.init.normal_(tensor)
    return network


def test_a_stage_carries_its_first_sum_to_its_end():
    """With the last convolutions of the other blocks silent, what goes along the shortcuts stays to the last bit."""
    network = shaken("preact_resnet34")
    maps = network.stem(torch.randn(2, 3, 64, 64, dtype=torch.float64))
    for stage in network.stages:
        first = stage[0](maps)
        for block in stage[1:]:
            nn.init.zeros_(block.branch[-1].weight)
        maps = stage(maps)
        assert torch.equal(maps, first)
        assert (maps < 0).any()


@pytest.mark.parametrize("variant", ["preact_resnet18", "preact_resnet50"])
def test_logits_are_those_of_the_formulas(variant):
    network = shaken(variant, num_classes=5)
    tensors = network.state_dict()

    def active(maps, name):
        mean, variance, scale, shift = (
            tensors[f"{name}.0.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(maps, mean, variance, scale, shift).relu()

    def conv(maps, name, stride=1):
        kernel = tensors[f"{name}.weight"]
        return F.conv2d(maps, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    images = torch.randn(2, 3, 50, 64, dtype=torch.float64)
    maps = F.max_pool2d(active(conv(images, "stem.0", 2), "stem.1"), 3, 2, 1)
    for i, depth in enumerate(DEPTHS[variant]):
        for j in range(depth):
            name, stride = f"stages.{i}.{j}", 2 if i > 0 and j == 0 else 1
            read = maps if i == j == 0 else active(maps, f"{name}.activation")
            if f"{name}.projection.weight" in tensors:
                maps = conv(read, f"{name}.projection", stride)
            if variant == "preact_resnet18":
                made = conv(read, f"{name}.branch.0", stride)
                made = conv(active(made, f"{name}.branch.1"), f"{name}.branch.2")
            else:
                made = active(conv(read, f"{name}.branch.0"), f"{name}.branch.1")
                made = active(conv(made, f"{name}.branch.2", stride), f"{name}.branch.3")
                made = conv(made, f"{name}.branch.4")
            maps = maps + made
    pooled = active(maps, "head.0").mean((2, 3))
    torch.testing.assert_close(network(images), F.linear(pooled, tensors["head.3.weight"], tensors["head.3.bias"]))


@pytest.mark.parametrize("variant", ["preact_resnet18", "preact_resnet164_cifar"])
def test_all_parameters_learn(variant):
    torch.manual_seed(0)
    network = resnet_preact(variant, in_channels=2, num_classes=3)
    kernel = network.stages[1][1].branch[0].weight.detach()
    assert float(kernel.std()) == pytest.approx((2 / (kernel.shape[0] * kernel[0, 0].numel())) ** 0.5, rel=0.05)
    network(torch.randn(3, 2, 9, 12)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def test_exported_is_eager():
    network, images = shaken("preact_resnet18", num_classes=3), torch.randn(2, 3, 33, 40, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(torch.export.export(network, (images,)).module()(images), network(images))
