"""The network of CIFAR-10's speed records: 94% on CIFAR-10 in 3.29 seconds on a single GPU (Jordan, 2024).

Paper: https://arxiv.org/abs/2404.00498; after Page 2018, "How to train your ResNet". Nothing here but what shortens the
way to 94%: the first filters are not learned but whiten patches of the training images, for which `whiten` is called
before training; batch norms have no scale and follow fast; each 3x3 convolution begins by passing its input through;
logits are divided by nine. 1,971,352 parameters learn, and 1,440 stay: the first filters, and scales of one.

Shapes (N batch, C channels, H height, W width, K classes):

    stem      (N, C, H, W)   -> (N, 8C, H-1, W-1)    with a stem_stride of two, for easier images: (N, 8C, H/2, W/2)
    stage i   (N, C, h, w)   -> (N, widths[i], h/2, w/2)    depths[i] convolutions, two in the paper
    head      (N, C, h, w)   -> (N, K)    global max pooling; in the paper 3x3, which is all of it for 32x32 images
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Self

import torch
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.layers.initialization import dirac, patch_whitening
from neocog.zoo.network import Network

__all__ = ["SpeedNet"]

Activation = Literal["gelu", "relu"]
ACTIVATIONS: dict[Activation, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


class Ninth(nn.Module):
    """y = x / 9. Any shape. Small logits make for a calm start at high rates."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits / 9


def conv(c_in: int, c_out: int) -> nn.Conv2d:
    """3x3, whose first c_in outputs are at first its inputs; (N, c_in, H, W) -> (N, c_out, H, W)."""
    layer = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
    dirac(layer)
    return layer


def norm(num_channels: int) -> nn.BatchNorm2d:
    """Batch norm with statistics over few batches: the paper keeps 0.6 of them, which is torch's momentum of 0.4."""
    return nn.BatchNorm2d(num_channels, eps=1e-12, momentum=0.4)


def group(c_in: int, c_out: int, depth: int, activation: Activation) -> nn.Sequential:
    """`depth` convolutions, of which the first halves the sides; (N, c_in, H, W) -> (N, c_out, H/2, W/2)."""
    layers: list[nn.Module] = [conv(c_in, c_out), nn.MaxPool2d(2), norm(c_out), ACTIVATIONS[activation]()]
    for _ in range(depth - 1):
        layers += [conv(c_out, c_out), norm(c_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)


def rotate_patches(first: nn.Conv2d) -> None:
    """A random rotation and its negative, which is what whitening comes to where patches are white; bias zero."""
    half = first.out_channels // 2
    with torch.no_grad():
        nn.init.orthogonal_(first.weight[:half])
        first.weight[half:] = -first.weight[:half]
        if first.bias is not None:
            first.bias.zero_()


class SpeedNet(Network):
    """Whitening, groups of convolutions, global max pool, linear head.

    `widths` and `depths` are the channels and the number of convolutions of each group, by default two. ReLU is cheaper
    than GELU on a CPU. Raises ConfigError if there are not as many depths as widths.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        widths: Sequence[int] = (64, 256, 256),
        stem_stride: int = 1,
        depths: Sequence[int] | None = None,
        activation: Activation = "gelu",
    ) -> None:
        super().__init__()
        depths = (2,) * len(widths) if depths is None else depths
        if len(depths) != len(widths):
            rule = "model.depths must have a number for each stage, as model.widths has."
            raise ConfigError(rule, received=f"{len(depths)} depths and {len(widths)} widths", fix="Set both.")
        channels = 2 * 2 * 2 * in_channels  # a filter for each value of a 2x2 patch, and its negative
        first = nn.Conv2d(in_channels, channels, 2, stem_stride)
        rotate_patches(first)
        self.stem = nn.Sequential(first, ACTIVATIONS[activation]())
        sizes = zip(pairwise([channels, *widths]), depths, strict=True)
        self.stages = nn.Sequential(*[group(c_in, c_out, depth, activation) for (c_in, c_out), depth in sizes])
        self.head = nn.Sequential(
            nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(widths[-1], num_classes, bias=False), Ninth()
        )
        self.unfreeze()

    def whiten(self, images: Tensor) -> Self:
        """Set the first filters by training images; (N, in_channels, H, W), standardised as in training.

        A few thousand are enough. Raises ValueError for images of another form.
        """
        patch_whitening(self.whitening, images)
        return self

    def init_from_data(self, images: Tensor) -> None:
        self.whiten(images)

    def unfreeze(self) -> Self:
        """Let everything learn again but the first filters and the norms' scales, which never do.

        The first layer's bias does; the paper stops it after three epochs.
        """
        super().unfreeze()
        self.whitening.weight.requires_grad = False
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.requires_grad = False
        return self

    @property
    def whitening(self) -> nn.Conv2d:
        """The first layer."""
        return self.get_submodule("stem.0")  # type: ignore[return-value]
