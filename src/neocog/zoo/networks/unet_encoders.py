"""U-Net on an encoder that has learnt from ImageNet: ResNet-18 or EfficientNet-Lite0 (Iakubovskii, 2019).

Code: https://github.com/qubvel-org/segmentation_models.pytorch, whose decoder this is; on Lite0 it is half as wide.
U-Net (Ronneberger et al. 2015) with a classifier's stem and stages as its path down, so that published weights can
start it, as in Iglovikov & Shvets 2018, https://arxiv.org/abs/1801.05746. The path up enlarges by repeating pixels, and
has batch norm; its last step has nothing beside it, since stems halve the image at once.

Shapes (N batch, C channels, H height, W width, K classes; sides are rounded up):

    stem      (N, C, H, W)       -> (N, 64 or 32, H/2, W/2)
    stages    (N, c, H/2, W/2)   -> (N, 512 or 320, H/32, W/32)    the classifier's; before ResNet's is its pooling
    head      the maps at 1/2, 1/4, 1/8, 1/16, 1/32 -> (N, K, H, W)
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.layers.initialization import he
from neocog.zoo.network import Network
from neocog.zoo.networks.efficientnet_lite import efficientnet_lite
from neocog.zoo.networks.resnet import conv_norm, resnet

__all__ = ["VARIANTS", "EncoderUNet", "unet_encoder"]

# name: (which maps are skipped over, of the stem's and each stage's; their channels; channels of the path up)
VARIANTS: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    "unet_resnet18": ((0, 1, 2, 3, 4), (64, 64, 128, 256, 512), (256, 128, 64, 32, 16)),
    "unet_lite0": ((0, 2, 3, 5, 7), (32, 24, 40, 112, 320), (128, 64, 32, 24, 16)),
}


class StepUp(nn.Module):
    """Twice the size, the skipped maps beside, two convolutions; (N, c_in, h, w), (N, c, H, W) -> (N, c_out, H, W)."""

    def __init__(self, c_in: int, c_skipped: int, c_out: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            conv_norm(c_in + c_skipped, c_out, 3), nn.ReLU(),
            conv_norm(c_out, c_out, 3), nn.ReLU(),
        )  # fmt: skip

    def forward(self, maps: Tensor, like: Tensor, skipped: Tensor | None = None) -> Tensor:
        """`like` has the size that the maps get, which is one less than twice theirs where halving rounded up."""
        maps = F.interpolate(maps, scale_factor=2.0, mode="nearest")
        maps = F.pad(maps, (0, like.shape[3] - maps.shape[3], 0, like.shape[2] - maps.shape[2]))
        return self.convs(maps if skipped is None else torch.cat([maps, skipped], 1))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """The path up, from the deepest maps to logits for each pixel."""

    def __init__(self, channels: Sequence[int], widths: Sequence[int], num_classes: int) -> None:
        super().__init__()
        below, beside = (channels[-1], *widths[:-1]), (*reversed(channels[:-1]), 0)
        self.steps = nn.ModuleList(map(StepUp, below, beside, widths))
        self.classify = nn.Conv2d(widths[-1], num_classes, 3, padding=1)

    def forward(self, found: Sequence[Tensor], images: Tensor) -> Tensor:
        maps = found[-1]
        for i, step in enumerate(self.steps[:-1]):
            maps = step(maps, found[-2 - i], found[-2 - i])
        return self.classify(self.steps[-1](maps, images))  # type: ignore[no-any-return]


class EncoderUNet(Network):
    """A classifier's stem and stages, and a path up that reads some of their maps."""

    def __init__(
        self, encoder: Network, taps: Sequence[int], channels: Sequence[int], widths: Sequence[int], num_classes: int
    ) -> None:
        super().__init__()
        layers = list(encoder.stem.children())
        pools = isinstance(layers[-1], nn.MaxPool2d)  # between the maps at 1/2 and those at 1/4
        self.stem = nn.Sequential(*layers[:-1]) if pools else encoder.stem
        self.pool = layers[-1] if pools else nn.Identity()
        self.stages, self.taps = encoder.stages, tuple(taps)
        self.head = Decoder(channels, widths, num_classes).apply(he)

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) images -> (N, num_classes, H, W) logits."""
        found = self.encode(images)
        return self.head([found[i] for i in self.taps], images)  # type: ignore[no-any-return]

    def features(self, images: Tensor) -> list[Tensor]:
        """The maps of each stage."""
        return self.encode(images)[1:]

    def encode(self, images: Tensor) -> list[Tensor]:
        """The maps of the stem and of each stage."""
        found = [self.stem(images)]
        maps = self.pool(found[0])
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found


def unet_encoder(
    variant: str, *, in_channels: int = 3, num_classes: int = 2, widths: Sequence[int] | None = None
) -> EncoderUNet:
    """Build a row of VARIANTS, with its widths unless others are given, from the deepest step up.

    Raises ConfigError unless there are five widths, one for each time the size doubles.

    >>> sum(p.numel() for p in unet_encoder("unet_resnet18", num_classes=1).parameters())
    14328209
    """
    taps, channels, usual = VARIANTS[variant]
    widths = usual if widths is None else widths
    if len(widths) != len(usual):
        raise ConfigError(
            f"{variant} has {len(usual)} widths, from the deepest step up to the size of the image.",
            received=", ".join(map(str, widths)), fix=f"Give {len(usual)}, such as {' '.join(map(str, usual))}.",
        )  # fmt: skip
    if variant == "unet_resnet18":
        encoder: Network = resnet("resnet18", in_channels=in_channels)
    else:
        encoder = efficientnet_lite("efficientnet_lite0", in_channels=in_channels, stochastic_depth=0.0)
    return EncoderUNet(encoder, taps, channels, widths, num_classes)
