import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.layers.scaled_conv import ScaledConv2d
from neocog.planning import plan
from neocog.zoo.networks.nf_resnet import VARIANTS, NFResNet, Residual, ScaledReLU, bottleneck, nf_resnet

# ResNet's published counts where there are some: a standardised convolution has a gain and a bias for each channel,
# where ResNet has the scale and shift of a norm.
RESNET = {"nf_resnet50": 25_557_032, "nf_resnet101": 44_549_160, "nf_resnet152": 60_192_808}


def on_meta(variant, **options):
    with torch.device("meta"):
        return nf_resnet(variant, **options)


def small(**options):
    return NFResNet((1, 2, 1, 1), num_classes=5, **options)


def with_gains(model, value):
    """All branches at work, as after some training."""
    for module in model.modules():
        if isinstance(module, Residual):
            nn.init.constant_(module.gain, value)
    return model


def counted(depths):
    """Parameters by hand: (fan-in + gain + bias) * c_out of each convolution, each block's gain, the classifier's."""
    total, c_in = (3 * 49 + 2) * 64, 64
    for i, depth in enumerate(depths):
        c_out, width = 256 * 2**i, 64 * 2**i
        total += (c_in + 2) * c_out  # the shortcut
        for _ in range(depth):
            total += (c_in + 2) * width + (9 * width + 2) * width + (width + 2) * c_out + 1
            c_in = c_out
    return total + (c_in + 1) * 1000


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts_follow_from_the_layers(variant):
    found = sum(p.numel() for p in on_meta(variant).parameters() if p.requires_grad)
    assert found == counted(VARIANTS[variant])
    if variant in RESNET:
        assert found == RESNET[variant] + sum(VARIANTS[variant])


def test_shapes_at_the_published_size_and_others():
    model = on_meta("nf_resnet50")
    shapes = [tuple(maps.shape) for maps in model.features(torch.empty(2, 3, 224, 224, device="meta"))]
    assert shapes == [(2, 256, 56, 56), (2, 512, 28, 28), (2, 1024, 14, 14), (2, 2048, 7, 7)]
    assert model(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)
    assert model(torch.empty(1, 3, 1, 1, device="meta")).shape == (1, 1000)
    other = on_meta("nf_resnet50", in_channels=5, num_classes=7)
    assert other(torch.empty(1, 5, 75, 130, device="meta")).shape == (1, 7)


def test_receptive_field_is_that_of_resnet50():
    # 11 behind the stem at steps of 4; each 3x3 convolution adds 2 steps, and doubles them where it begins a stage:
    # 11 + 3 * 8 + (8 + 3 * 16) + (16 + 5 * 32) + (32 + 2 * 64) = 427.
    row = plan(on_meta("nf_resnet50"), (3, 224, 224)).row("stages.3.2.branch.4")
    assert row.receptive_field == (427, 427)


def test_logits_of_an_image_do_not_depend_on_its_batch():
    model = with_gains(small(), 0.5).train()
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    assert not any(isinstance(module, norms) for module in model.modules())
    images = torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(model(images)[:1], model(images[:1]), rtol=1e-4, atol=1e-5)


def test_variances_follow_the_analytic_prediction_at_first():
    torch.manual_seed(0)
    model = with_gains(nf_resnet("nf_resnet50"), 1.0)
    with torch.no_grad():
        maps = model.stem(torch.randn(4, 3, 128, 128))
        for stage in model.stages:
            for j, block in enumerate(stage, start=1):
                maps = block(maps)
                predicted = 1 + 0.04 * j  # alpha**2 more with each block of a stage
                assert maps.var((0, 2, 3)).mean().item() == pytest.approx(predicted, rel=0.15)
                assert maps.mean((0, 2, 3)).square().mean() < 0.1  # no shift of the mean
            assert block.beta == pytest.approx(math.sqrt(predicted - 0.04))  # what the block divided by


def test_scaled_relu_keeps_variance_one():
    maps = torch.randn(1_000_000, dtype=torch.float64)
    assert ScaledReLU()(maps).var().item() == pytest.approx(1, rel=0.01)
    torch.testing.assert_close(ScaledReLU()(maps), 1.7128585504496627 * maps.relu())


@pytest.mark.parametrize("resets", [False, True])
def test_a_block_is_what_the_paper_says(resets):
    c_in, stride = (8, 2) if resets else (16, 1)
    shortcut = ScaledConv2d(c_in, 16, 1, stride) if resets else None
    block = Residual(bottleneck(c_in, 16, stride), 1.5, shortcut).double()
    first, _, second, _, third = block.branch
    nn.init.constant_(block.gain, 0.7)

    def conv(maps, layer, **options):
        weight = layer.weight - layer.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(maps, weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt(), layer.bias, **options)

    def act(maps):
        return maps.clamp(min=0) * math.sqrt(2 / (1 - 1 / math.pi))

    maps = torch.randn(2, c_in, 6, 6, dtype=torch.float64)
    start = act(maps / 1.5)
    branch = conv(act(conv(act(conv(start, first)), second, stride=stride, padding=1)), third)
    straight = conv(start, shortcut, stride=2) if resets else maps
    torch.testing.assert_close(block(maps), straight + 0.2 * 0.7 * branch)


def test_blocks_are_the_identity_at_first():
    block, maps = small().stages[1][1], torch.randn(2, 512, 8, 8)
    assert torch.equal(block(maps), maps)


def test_gradients_reach_everything():
    model = small()
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(module.gain.grad != 0 for module in model.modules() if isinstance(module, Residual))
    model.zero_grad()
    with_gains(model, 0.5)(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_it_is_exported_with_the_same_logits():
    model, images = with_gains(small(), 0.5).eval(), torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(torch.export.export(model, (images,)).module()(images), model(images))
