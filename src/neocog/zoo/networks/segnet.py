"""SegNet: a deep convolutional encoder-decoder architecture for image segmentation (Badrinarayanan et al., 2015).

Paper: https://arxiv.org/abs/1511.00561. The encoder is VGG-16's convolutions with batch norm, the decoder mirrors it,
and what passes between them, beside the deepest maps, is where each maximum was: a decoder puts values back to those
places and fills the rest by convolutions. Maps of odd size are pooled rounded up, as in the authors' Caffe, and
convolutions keep their biases, as VGG's do.

Shapes (N batch, C channels, H height, W width, K classes; h, w halve from stage to stage, rounded up):

    stem      (N, C, H, W)      -> (N, 64, H, W)
    stage i   (N, c, 2h, 2w)    -> (N, (128, 256, 512, 512)[i], h, w)      pooling by switches, convolutions
    head      (N, 512, h, w)    -> (N, K, H, W)                            pooling, five times unpooling, convolutions
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from neocog.layers.initialization import he
from neocog.layers.unpooling import Switches, SwitchPool2d, Unpool2d
from neocog.zoo.network import Network
from neocog.zoo.networks.vgg import convs

__all__ = ["LEVELS", "SegNet"]

# (channels, convolutions) at each of the five resolutions.
LEVELS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class Decoder(nn.Module):
    """From the deepest maps back to the input's size; at each level, values go to the places of the maxima first."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.unpool = Unpool2d()
        levels = [
            nn.Sequential(*convs(c, c, depth - 1, norm=True), *convs(c, c_out, 1, norm=True))
            for (c_out, _), (c, depth) in reversed([*pairwise(LEVELS)])
        ]
        last = nn.Sequential(*convs(64, 64, 1, norm=True), nn.Conv2d(64, num_classes, 3, padding=1))
        self.levels = nn.ModuleList([*levels, last])

    def forward(self, maps: Tensor, switches: Sequence[Switches]) -> Tensor:
        for level, switch in zip(self.levels, reversed(switches), strict=True):
            maps = level(self.unpool(maps, switch))
        return maps


class SegNet(Network):
    """Thirteen convolutions down, thirteen up, all but the last with batch norm."""

    def __init__(self, *, in_channels: int = 3, num_classes: int = 11) -> None:
        super().__init__()
        self.pool = SwitchPool2d(2, ceil_mode=True)
        self.stem = nn.Sequential(*convs(in_channels, *LEVELS[0], norm=True))
        self.stages = nn.Sequential(
            *(nn.Sequential(*convs(c_in, c, depth, norm=True)) for (c_in, _), (c, depth) in pairwise(LEVELS))
        )
        self.head = Decoder(num_classes)
        self.apply(partial(he, mode="fan_in"))

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) images -> (N, num_classes, H, W) logits."""
        found, switches = self.encode(images)
        maps, last = self.pool(found[-1])
        return self.head(maps, [*switches, last])  # type: ignore[no-any-return]

    def features(self, images: Tensor) -> list[Tensor]:
        """The maps that each stage gives, before they are pooled."""
        return self.encode(images)[0]

    def encode(self, images: Tensor) -> tuple[list[Tensor], list[Switches]]:
        """The maps that each stage gives, and the switches of the pooling before it."""
        maps, found, switches = self.stem(images), [], []
        for stage in self.stages:
            maps, places = self.pool(maps)
            maps = stage(maps)
            found.append(maps)
            switches.append(places)
        return found, switches
