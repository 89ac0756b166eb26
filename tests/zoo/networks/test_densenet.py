import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.planning import plan
from neocog.zoo.networks.densenet import VARIANTS, DenseNet, cifar_stem, densenet, imagenet_stem

# name: parameters as torchvision counts them, and as the paper rounds its own (L = 100, k = 12: 0.8M), published
# number of classes, maps that each stage gives by hand: half of those before (in the first, 2g) and d * g more
PUBLISHED = {
    "densenet121": (7_978_856, 1000, [256, 512, 1024, 1024]),
    "densenet161": (28_681_000, 1000, [384, 768, 2112, 2208]),
    "densenet169": (14_149_480, 1000, [256, 512, 1280, 1664]),
    "densenet201": (20_013_928, 1000, [256, 512, 1792, 1920]),
    "densenet100_12_cifar": (769_162, 10, [216, 300, 342]),
}


def on_meta(variant, **options):
    with torch.device("meta"):
        return densenet(variant, **options)


def small(stem=imagenet_stem, **options):
    return DenseNet(stem, 4, (2, 3, 2), num_classes=5, **options)


@pytest.mark.parametrize("variant", VARIANTS)
def test_published_parameter_counts_and_widths(variant):
    parameters, num_classes, widths = PUBLISHED[variant]
    model = on_meta(variant, num_classes=num_classes)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == parameters
    size, first = (32, 32) if "cifar" in variant else (224, 56)
    images = torch.empty(2, 3, size, size, device="meta")
    sizes = [first // 2**i for i in range(len(widths))]
    features = model.features(images)
    assert [maps.shape for maps in features] == [(2, c, s, s) for c, s in zip(widths, sizes, strict=True)]
    assert model.head(features[-1]).shape == (2, num_classes)


@pytest.mark.parametrize("variant", ["densenet121", "densenet100_12_cifar"])
@pytest.mark.parametrize(("channels", "size"), [(1, (29, 61)), (4, (100, 75))])
def test_other_sizes_channels_and_classes(variant, channels, size):
    model = on_meta(variant, in_channels=channels, num_classes=7).eval()
    assert model(torch.empty(1, channels, *size, device="meta")).shape == (1, 7)


def test_receptive_field_of_densenet121():
    # 11 behind the stem at steps of 4. A 3x3 convolution adds 2 steps, 2x2 pooling one step before it doubles them:
    # 11 + 6 * 8 + 4 + 12 * 16 + 8 + 24 * 32 + 16 + 16 * 64 = 2071.
    row = plan(on_meta("densenet121"), (3, 224, 224)).row("stages.3.1.15.branch.6")
    assert row.receptive_field == (2071, 2071)


def test_each_layer_reads_the_maps_of_all_layers_before_it():
    block = small().double().eval().stages[1][1]
    start = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    found = [start]
    for layer in block:
        norm1, _, conv1, _, norm2, _, conv2, _ = layer.branch
        maps = torch.cat(found, dim=1)
        for norm, conv in ((norm1, conv1), (norm2, conv2)):
            maps = F.batch_norm(maps, norm.running_mean, norm.running_var, norm.weight, norm.bias)
            maps = F.conv2d(F.relu(maps), conv.weight, padding=conv.kernel_size[0] // 2)
        assert maps.shape == (2, 4, 6, 6)
        found.append(maps)
    torch.testing.assert_close(block(start), torch.cat(found, dim=1))


def test_the_paper_s_layers_are_counted():
    # L = 100 with the first convolution, two transitions, the dense layer of the head, and two for each dense layer.
    model = on_meta("densenet100_12_cifar")
    assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.modules()) == 100


def test_dropout_follows_every_convolution_but_the_first_and_acts_only_in_training():
    model = small(dropout=0.2)
    layers = [module for module in model.modules() if not list(module.children())]
    behind = [after for before, after in pairwise(layers) if isinstance(before, nn.Conv2d)]
    assert [isinstance(module, nn.Dropout) for module in behind] == [False] + [True] * (len(behind) - 1)
    images = torch.randn(4, 3, 64, 64)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_first_values_are_as_published():
    model = densenet("densenet100_12_cifar")
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * math.prod(module.kernel_size)
            spread = 5 / math.sqrt(2 * module.weight.numel())  # five standard errors of a standard deviation
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=spread)
    assert not model.head[2].bias.any()


@pytest.mark.parametrize("stem", [imagenet_stem, cifar_stem])
def test_gradients_reach_everything(stem):
    model = small(stem)
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_it_is_exported_with_the_same_logits():
    model, images = small().eval(), torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(torch.export.export(model, (images,)).module()(images), model(images))
