"""Initial values against their formulas: statistics of large layers, exact values where nothing is drawn."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.layers.initialization import (
    dirac,
    fans,
    gaussian_with_ones,
    glorot,
    he,
    patch_whitening,
    zero_last_norm,
)

# Each with the values that go into one output and the outputs that one input goes into, counted by hand.
LAYERS = [
    (lambda: nn.Conv1d(60, 200, 5), 300, 1000),
    (lambda: nn.Conv2d(40, 100, (3, 2)), 240, 600),
    (lambda: nn.Conv2d(128, 256, 3, groups=4, bias=False), 288, 576),
    (lambda: nn.Conv2d(2048, 4096, 3, groups=2048), 9, 18),
    (lambda: nn.Conv3d(16, 64, 3), 432, 1728),
    (lambda: nn.ConvTranspose1d(60, 200, 5), 300, 1000),
    (lambda: nn.ConvTranspose2d(64, 128, 4, stride=2, groups=2), 512, 1024),
    (lambda: nn.ConvTranspose3d(16, 64, 3), 432, 1728),
    (lambda: nn.Linear(500, 100), 500, 100),
]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def spread(layer):
    """Standard deviation around zero, and the largest absolute value, in float64."""
    weight = layer.weight.detach().double()
    return float(weight.square().mean().sqrt()), float(weight.abs().max())


@pytest.mark.parametrize(("build", "fan_in", "fan_out"), LAYERS)
def test_fans_count_what_goes_in_and_out(build, fan_in, fan_out):
    assert fans(build()) == (fan_in, fan_out)


def test_fans_are_what_ones_through_a_layer_count():
    for layer in (nn.Conv2d(8, 12, 3, groups=4, bias=False), nn.ConvTranspose2d(8, 12, 3, groups=4, bias=False)):
        nn.init.ones_(layer.weight)
        maps = torch.ones(1, 8, 9, 9, requires_grad=True)
        sums = layer(maps)
        sums.sum().backward()
        assert (int(sums[0, 0, 4, 4]), int(maps.grad[0, 0, 4, 4])) == fans(layer)


@pytest.mark.parametrize(("build", "fan_in", "fan_out"), LAYERS)
def test_variances_follow_the_formulas(build, fan_in, fan_out):
    expected = {
        he: 2 / fan_out,
        partial(he, mode="fan_in"): 2 / fan_in,
        partial(he, mode="fan_in", slope=3**0.5): 0.5 / fan_in,
        partial(glorot, distribution="normal"): 2 / (fan_in + fan_out),
    }
    for function, variance in expected.items():
        layer = build().apply(function)
        std, largest = spread(layer)
        assert std == pytest.approx(math.sqrt(variance), rel=0.03)
        assert largest > 3 * std  # no uniform draw
        assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize(("build", "fan_in", "fan_out"), LAYERS)
def test_uniform_draws_have_the_same_variance_and_a_bound(build, fan_in, fan_out):
    expected = {
        glorot: 6 / (fan_in + fan_out),
        partial(he, distribution="uniform"): 6 / fan_out,
        partial(he, mode="fan_in", distribution="uniform"): 6 / fan_in,
    }
    for function, bound in expected.items():
        layer = build().apply(function)
        std, largest = spread(layer)
        assert std == pytest.approx(math.sqrt(bound / 3), rel=0.03)
        assert 0.99 * math.sqrt(bound) < largest <= 1.000001 * math.sqrt(bound)
        assert layer.bias is None or not layer.bias.any()


def test_without_groups_the_draws_are_those_of_torch():
    for function, of_torch in (
        (he, partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")),
        (glorot, nn.init.xavier_uniform_),
    ):
        layer, expected = nn.Conv2d(8, 16, 3), torch.empty(16, 8, 3, 3)
        torch.manual_seed(1)
        function(layer)
        torch.manual_seed(1)
        torch.testing.assert_close(layer.weight.detach(), of_torch(expected))


def test_he_keeps_the_size_of_signals_through_relus_where_glorot_halves_it():
    network = nn.Sequential(*[nn.Sequential(nn.Linear(800, 800, bias=False), nn.ReLU()) for _ in range(10)])
    signals = torch.randn(50, 800)
    with torch.no_grad():
        kept = network.apply(he)(signals).square().mean()
        shrunk = network.apply(glorot)(signals).square().mean()
    assert float(kept) == pytest.approx(1, rel=0.5)
    assert float(shrunk) == pytest.approx(2**-10, rel=0.5)


@pytest.mark.parametrize("function", [he, glorot])
def test_other_modules_stay_as_they_are(function):
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Embedding(4, 5), nn.PReLU(), nn.MultiheadAttention(4, 2))
    before = {key: value.clone() for key, value in network.state_dict().items() if "out_proj" not in key}
    network.apply(function)
    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_all_work_on_the_meta_device():
    with torch.device("meta"):
        conv, norm = nn.Conv2d(8, 16, 3, groups=2), nn.BatchNorm2d(16)
        network = nn.Sequential(conv, norm, nn.ConvTranspose2d(16, 8, 2), nn.Linear(3, 3)).apply(he).apply(glorot)
        gaussian_with_ones(network, ones=[conv])
        zero_last_norm(network)
        for rest in ("keep", "zero"):
            dirac(conv, rest)
    patch_whitening(nn.Conv2d(3, 12, 2, device="meta"), torch.rand(2, 3, 5, 5))
    assert all(p.is_meta and p.requires_grad for p in network.parameters())


def test_gaussian_with_ones():
    hidden, norm = nn.Conv2d(40, 60, 3), nn.BatchNorm2d(60)
    network = nn.Sequential(nn.Conv2d(3, 40, 5), hidden, norm, nn.Linear(300, 200, bias=False), nn.Linear(200, 80))
    gaussian_with_ones(network, ones=[hidden, network[4]])
    for layer in (hidden, network[3], network[4]):
        assert spread(layer)[0] == pytest.approx(0.01, rel=0.03)
    assert not network[0].bias.any()
    assert torch.equal(hidden.bias, torch.ones(60)) and torch.equal(network[4].bias, torch.ones(80))
    assert torch.equal(norm.weight, torch.ones(60)) and not norm.bias.any()
    gaussian_with_ones(network, std=0.3)
    assert spread(hidden)[0] == pytest.approx(0.3, rel=0.03)
    assert not hidden.bias.any()


def test_zero_last_norm_makes_a_block_its_shortcut():
    inner = nn.Sequential(nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4))
    branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), inner, nn.Dropout())
    zero_last_norm(branch)
    maps = torch.randn(2, 4, 6, 6)
    assert not branch(maps).any()
    assert torch.equal(branch[1].weight, torch.ones(4))
    zero_last_norm(last := nn.LayerNorm(3))
    assert not last.weight.any()


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Conv1d(4, 4, 5, padding=2),
        lambda: nn.Conv2d(3, 7, 3, padding=1),
        lambda: nn.Conv2d(7, 3, (1, 5), padding=(0, 2), bias=False),
        lambda: nn.Conv2d(6, 8, 3, padding=1, groups=2),
        lambda: nn.Conv2d(8, 4, 3, padding=1, groups=2),
        lambda: nn.Conv2d(5, 10, 3, padding=1, groups=5),
        lambda: nn.Conv3d(3, 4, 3, padding=1),
        lambda: nn.Conv2d(3, 3, (2, 4), padding=(1, 2)),
    ],
)
def test_dirac_is_that_of_torch_and_keeps_the_rest(build):
    conv, drawn = build(), build()
    before = drawn.weight.clone()
    dirac(conv, rest="zero")
    assert torch.equal(conv.weight, nn.init.dirac_(torch.empty_like(before), conv.groups))
    dirac(drawn)
    c_out, c_in = conv.out_channels // conv.groups, conv.in_channels // conv.groups
    for channel in range(conv.out_channels):
        expected = conv.weight if channel % c_out < c_in else before
        assert torch.equal(drawn.weight[channel], expected[channel])
    assert drawn.bias is None or not drawn.bias.any()


def test_dirac_gives_what_it_is_given():
    conv = nn.Conv2d(6, 8, 3, padding=1, groups=2)
    maps = torch.randn(2, 6, 5, 7)
    dirac(conv, rest="zero")
    nothing = torch.zeros(2, 1, 5, 7)
    torch.testing.assert_close(conv(maps), torch.cat([maps[:, :3], nothing, maps[:, 3:], nothing], 1))


def correlated_pictures(count, channels, size):
    """Smooth images whose channels have much in common, far from zero."""
    grey = torch.randn(count, 1, size, size, dtype=torch.float64)
    noise = torch.randn(count, channels, size, size, dtype=torch.float64)
    return F.avg_pool2d(grey + 0.3 * noise, 3, stride=1) + torch.linspace(1, 5, channels).view(-1, 1, 1)


@pytest.mark.parametrize(
    ("channels", "kernel_size", "dilation", "count"), [(3, 2, 1, 300), (1, 3, 1, 40), (2, (1, 3), 2, 40)]
)
@pytest.mark.parametrize("twice", [False, True])
def test_whitened_patches_have_covariance_identity(channels, kernel_size, dilation, count, twice):
    images = correlated_pictures(count, channels, 14)
    size = channels * (kernel_size**2 if isinstance(kernel_size, int) else math.prod(kernel_size))
    conv = nn.Conv2d(channels, size * (1 + twice), kernel_size, dilation=dilation, dtype=torch.float64)
    patch_whitening(conv, images, eps=1e-9)
    maps = conv(images)
    covariance = torch.cov(maps.transpose(0, 1).flatten(1), correction=0)
    torch.testing.assert_close(covariance[:size, :size], torch.eye(size).double(), atol=1e-6, rtol=0)
    if twice:  # of the maps themselves, some processors compute the last bits by another order of sums
        assert torch.equal(conv.weight[size:], -conv.weight[:size])
        assert conv.bias is None or torch.equal(conv.bias[size:], -conv.bias[:size])
        torch.testing.assert_close(maps[:, size:], -maps[:, :size], atol=1e-10, rtol=1e-12)


def test_whitening_shrinks_directions_below_eps_and_sorts_by_size():
    images, eps = correlated_pictures(50, 3, 10), 0.02
    conv = nn.Conv2d(3, 12, 2, dtype=torch.float64)
    patch_whitening(conv, images, eps=eps)
    patches = images.unfold(2, 2, 1).unfold(3, 2, 1).permute(1, 4, 5, 0, 2, 3).flatten(3).flatten(0, 2)
    eigenvalues = torch.linalg.eigvalsh(torch.cov(patches, correction=0)).flip(0)
    variances = conv(images).var((0, 2, 3), correction=0)
    torch.testing.assert_close(variances, eigenvalues / (eigenvalues + eps))
    norms = conv.weight.detach().flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, 1 / (eigenvalues + eps).sqrt())
    assert not conv.bias.any()


def test_mistakes_are_answered_with_rule_received_and_fix():
    linear = nn.Linear(2, 2)
    for function in (he, glorot):
        with pytest.raises(ValueError, match=r"distribution must be 'normal' or 'uniform'\. Received: 'gauss'\."):
            nn.ReLU().apply(partial(function, distribution="gauss"))
    with pytest.raises(ValueError, match=r"mode must be 'fan_in' or 'fan_out'\. Received: 'fan_avg'\."):
        he(linear, mode="fan_avg")
    with pytest.raises(ValueError, match=r"rest must be 'keep' or 'zero'\. Received: 'random'\."):
        dirac(nn.Conv2d(3, 3, 3), rest="random")
    for stray in (nn.Linear(3, 3), nn.ReLU()):
        with pytest.raises(ValueError, match=r"ones must be .* of the network with a bias\. Received: (Linear|ReLU)\("):
            gaussian_with_ones(nn.Sequential(linear), ones=[stray])
    plain = nn.Conv2d(3, 3, 1, bias=False)
    with pytest.raises(ValueError, match=r"with a bias\. Received: Conv2d"):
        gaussian_with_ones(nn.Sequential(plain), ones=[plain])
    with pytest.raises(ValueError, match=r"must have a norm with a scale .* Received: no norm in Conv2d"):
        zero_last_norm(plain)
    with pytest.raises(ValueError, match=r"its last norm, BatchNorm2d\(.*\), has none\. Use affine=True\."):
        zero_last_norm(nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3, affine=False)))


def test_whitening_says_what_does_not_fit():
    images = torch.rand(4, 3, 8, 8)
    with pytest.raises(ValueError, match=r"out_channels=16 for patches of 3 x 2 x 2\. Use out_channels=12 or 24\."):
        patch_whitening(nn.Conv2d(3, 16, 2), images)
    with pytest.raises(ValueError, match=r"reads all channels\. Received: groups=3\. Use groups=1\."):
        patch_whitening(nn.Conv2d(3, 12, 2, groups=3), images)
    for wrong in (images[0], images[:, :2], images[:0], (255 * images).byte()):
        with pytest.raises(ValueError, match=r"floats of shape \(N, 3, H, W\), standardised .* Received: torch\."):
            patch_whitening(nn.Conv2d(3, 12, 2), wrong)
