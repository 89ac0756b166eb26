"""The first values of weights and biases, by the names under which papers introduced them.

`he` and `glorot` act on the one layer that they are given, for `network.apply(he)`. The others take what they act on.
All draw from torch's global generator and work on the meta device.
"""

import math
from collections.abc import Collection
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["dirac", "fans", "gaussian_with_ones", "glorot", "he", "patch_whitening", "zero_last_norm"]

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
Weighted = Convolution | Transposed | nn.Linear
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
InstanceNorm = nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d
Norm = BatchNorm | InstanceNorm | nn.GroupNorm | nn.LayerNorm | nn.RMSNorm

Mode = Literal["fan_in", "fan_out"]
Distribution = Literal["normal", "uniform"]
Rest = Literal["keep", "zero"]


def fans(layer: Weighted) -> tuple[int, int]:
    """How many values one output is made of, and how many outputs one input goes into, borders and strides aside.

        fan_in = c_in / groups * k    fan_out = c_out / groups * k    for a kernel of k taps; k = 1 in a dense layer

    torch.nn.init counts from the weight's shape instead: fan_out as if there were no groups, and the two exchanged in
    transposed convolutions. Source: He et al. 2015, "Delving deep into rectifiers", section 2.2.

    >>> fans(nn.Conv2d(32, 64, 3)), fans(nn.Conv2d(32, 64, 3, groups=32)), fans(nn.ConvTranspose1d(32, 64, 2))
    ((288, 576), (9, 18), (64, 128))
    """
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    taps = math.prod(layer.kernel_size)
    return layer.in_channels // layer.groups * taps, layer.out_channels // layer.groups * taps


def he(module: nn.Module, mode: Mode = "fan_out", distribution: Distribution = "normal", slope: float = 0.0) -> None:
    """Weights that keep the variance of signals (fan_in) or of gradients (fan_out) through ReLUs; biases zero.

        variance = 2 / ((1 + slope**2) * fan)    slope: of the activation's negative side

    Acts on a convolution, plain or transposed, or a dense layer; other modules stay as they are. With fan_out, a last
    dense layer for few classes begins with large weights: apply it to the layers before.
    Source: He et al. 2015, "Delving deep into rectifiers", section 2.2.

    >>> network = nn.Sequential(nn.Conv2d(8, 200, 5), nn.BatchNorm2d(200), nn.ReLU()).apply(he)
    >>> round(float(network[0].weight.detach().std()) * 2500**0.5, 1)  # variance 2 / (200 * 25)
    1.0
    """
    checked("mode", mode, Mode)
    checked("distribution", distribution, Distribution)
    if isinstance(module, Weighted):
        fan_in, fan_out = fans(module)
        draw(module, 2 / ((1 + slope**2) * (fan_in if mode == "fan_in" else fan_out)), distribution)


def glorot(module: nn.Module, distribution: Distribution = "uniform") -> None:
    """Weights that keep the variance of signals and of gradients, as far as both can be; biases zero.

        variance = 2 / (fan_in + fan_out), so that uniform weights are within +-sqrt(6 / (fan_in + fan_out))

    Acts on a convolution, plain or transposed, or a dense layer; other modules stay as they are.
    Source: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", eq. 16.

    >>> layer = nn.Linear(400, 200).apply(glorot)
    >>> round(float(layer.weight.detach().abs().max()), 3), float(layer.bias.detach().abs().max())
    (0.1, 0.0)
    """
    checked("distribution", distribution, Distribution)
    if isinstance(module, Weighted):
        draw(module, 2 / sum(fans(module)), distribution)


def draw(layer: Weighted, variance: float, distribution: Distribution) -> None:
    """Weights of mean zero and this variance, biases of zero."""
    if distribution == "normal":
        nn.init.normal_(layer.weight, std=math.sqrt(variance))
    else:
        bound = math.sqrt(3 * variance)
        nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def checked(argument: str, received: str, choice: object) -> None:
    """Raises ValueError unless the word is one of the literal's."""
    words = get_args(choice)
    if received not in words:
        raise ValueError(f"{argument} must be {' or '.join(map(repr, words))}. Received: {received!r}.")


def gaussian_with_ones(network: nn.Module, std: float = 0.01, *, ones: Collection[nn.Module] = ()) -> None:
    """Normal weights in all convolutions and dense layers; biases of one in the layers `ones`, and of zero elsewhere.

    A bias of one lets a ReLU see positive values from the first step on.
    Raises ValueError if one of `ones` is not a layer of the network, or has no bias.
    Source: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", section 5.

    >>> network = nn.Sequential(nn.Conv2d(3, 2, 5), nn.ReLU(), nn.Conv2d(2, 2, 3))
    >>> gaussian_with_ones(network, ones=[network[2]])
    >>> network[0].bias.tolist(), network[2].bias.tolist()
    ([0.0, 0.0], [1.0, 1.0])
    """
    layers = [module for module in network.modules() if isinstance(module, Weighted)]
    with_bias = {id(layer) for layer in layers if layer.bias is not None}
    for layer in ones:
        if id(layer) not in with_bias:
            raise ValueError(
                f"ones must be convolutions or dense layers of the network with a bias. Received: {layer}."
            )
    for layer in layers:
        nn.init.normal_(layer.weight, std=std)
        if layer.bias is not None:
            nn.init.constant_(layer.bias, any(layer is one for one in ones))


def zero_last_norm(branch: nn.Module) -> None:
    """Zero the scale of a residual branch's last norm, so that its block begins as its shortcut alone.

    Call it for each branch: `zero_last_norm(block.branch)`.
    Raises ValueError if the branch has no norm, or the last one has no scale.
    Source: Goyal et al. 2017, "Accurate, large minibatch SGD", section 5.1.

    >>> branch = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    >>> zero_last_norm(branch)
    >>> branch[1].weight.tolist(), branch[4].weight.tolist()
    ([1.0, 1.0], [0.0, 0.0])
    """
    norms = [module for module in branch.modules() if isinstance(module, Norm)]
    if not norms or norms[-1].weight is None:
        fault = f"its last norm, {norms[-1]}, has none" if norms else f"no norm in {type(branch).__name__}"
        raise ValueError(f"A branch must have a norm with a scale to be zeroed. Received: {fault}. Use affine=True.")
    nn.init.zeros_(norms[-1].weight)


def dirac(conv: Convolution, rest: Rest = "keep") -> None:
    """A convolution that gives the channels that it is given: one tap of one, in the kernel's middle; biases zero.

        y[c] = x[c]    for c < min(c_in, c_out), within each group

    It does so where it pads by half its kernel and has stride one. Further outputs keep their weights, or get zeros.
    Source: Zagoruyko & Komodakis 2017, "DiracNets"; with `rest="keep"`, Jordan 2024, "94% on CIFAR-10 in 3.29 seconds".

    >>> conv = nn.Conv1d(2, 3, 3, padding=1)
    >>> dirac(conv, rest="zero")
    >>> conv(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
    [[[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]]
    """
    checked("rest", rest, Rest)
    with torch.no_grad():
        groups = conv.weight.view(conv.groups, -1, *conv.weight.shape[1:])  # (g, c_out / g, c_in / g, *kernel)
        (groups if rest == "zero" else groups[:, : groups.shape[2]]).zero_()
        middle = groups
        for size in conv.kernel_size:
            middle = middle.select(3, size // 2)
        middle.diagonal(dim1=1, dim2=2).fill_(1)
        if conv.bias is not None:
            conv.bias.zero_()


def patch_whitening(conv: nn.Conv2d, images: Tensor, eps: float = 5e-4) -> None:
    """Turn patches of images into uncorrelated values of variance one; biases zero.

        filter[i] = eigenvector[i] / sqrt(eigenvalue[i] + eps)    of the patches' covariance, largest eigenvalue first

    Shapes: images (N, C, H, W), standardised as in training; a kernel of k x l gives C*k*l filters, and twice as many
    channels get their negatives too, behind them. A few thousand images are enough.
    Raises ValueError for another number of channels, for groups, and for images that do not fit.
    Source: Page 2018, "How to train your ResNet", part 8; Jordan 2024, "94% on CIFAR-10 in 3.29 seconds", section 3.2.
    Both leave the patches' mean in, which is near zero in standardised images; it is taken out here.

    >>> conv = nn.Conv2d(3, 24, 2)
    >>> patch_whitening(conv, torch.rand(10, 3, 8, 8))
    >>> torch.equal(conv.weight[12:], -conv.weight[:12])
    True
    """
    c_in, size = conv.in_channels, math.prod(conv.kernel_size) * conv.in_channels
    if conv.groups != 1:
        raise ValueError(f"A whitening convolution reads all channels. Received: groups={conv.groups}. Use groups=1.")
    if conv.out_channels not in (size, 2 * size):
        raise ValueError(
            "A whitening convolution has as many output channels as its patches have values, or twice as many. "
            f"Received: out_channels={conv.out_channels} for patches of {c_in} x {by_x(conv.kernel_size)}. "
            f"Use out_channels={size} or {2 * size}."
        )
    if images.ndim != 4 or images.shape[1] != c_in or not len(images) or not images.is_floating_point():
        raise ValueError(
            f"Images to whiten by are floats of shape (N, {c_in}, H, W), standardised as in training. "
            f"Received: {images.dtype} of shape {tuple(images.shape)}."
        )
    values, vectors = torch.linalg.eigh(patch_covariance(conv, images))
    filters = (vectors / (values + eps).sqrt()).T.flip(0).reshape(size, *conv.weight.shape[1:])
    with torch.no_grad():
        conv.weight.copy_(filters if conv.out_channels == size else torch.cat([filters, -filters]))
        if conv.bias is not None:
            conv.bias.zero_()


def patch_covariance(conv: nn.Conv2d, images: Tensor) -> Tensor:
    """Covariance of the patches under a kernel at every place of all images; (C*k*l, C*k*l), in float64."""
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for batch in torch.split(images.detach(), 256):
        patches = F.unfold(batch.double(), conv.kernel_size, conv.dilation).transpose(0, 1).flatten(1)
        count += patches.shape[1]
        total, products = total + patches.sum(1), products + patches @ patches.T
    mean = total / count
    return products / count - mean.outer(mean)


def by_x(sizes: Collection[int]) -> str:
    return " x ".join(map(str, sizes))
