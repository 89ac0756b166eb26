"""FCN-8s: fully convolutional networks for semantic segmentation (Long et al., 2015).

Paper: https://arxiv.org/abs/1411.4038. VGG-16 whose dense layers have become convolutions, so that it gives a map of
scores instead of one row; coarse scores are enlarged and fused with those of two finer maps. The enlarging is learnt,
from bilinear interpolation on, and scores begin at zero. The paper pads its input by 100 and crops afterwards, and
leaves the last enlarging as it is; here the first 4096-wide convolution pads by 3, maps of odd size are pooled rounded
up, and what is enlarged beyond the finer map is cut off, so that a map's cell lies on its own pixels at any size.

Shapes (N batch, C channels, H height, W width, K classes; h, w as H, W halved and rounded up, step by step):

    stem      (N, C, H, W)       -> (N, 64, H/2, W/2)
    stage i   (N, c, 2h, 2w)     -> (N, (128, 256, 512, 512)[i], h, w)    to H/4, H/8, H/16, H/32
    head      the stages' maps   -> (N, K, H, W)
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.layers.initialization import he
from neocog.zoo.network import Network
from neocog.zoo.networks.vgg import convs

__all__ = ["FCN8s", "bilinear", "enlarge"]


def stage(c_in: int, c_out: int, depth: int) -> nn.Sequential:
    """VGG's convolutions, then pooling; (N, c_in, H, W) -> (N, c_out, H/2, W/2), rounded up."""
    return nn.Sequential(*convs(c_in, c_out, depth, norm=False), nn.MaxPool2d(2, ceil_mode=True))


def enlarge(channels: int, factor: int) -> nn.ConvTranspose2d:
    """(N, channels, h, w) -> (N, channels, factor * h, factor * w), for an even factor."""
    return nn.ConvTranspose2d(channels, channels, 2 * factor, factor, padding=factor // 2, bias=False)


def bilinear(module: nn.Module) -> None:
    """Let a transposed convolution begin as bilinear interpolation of each channel; others stay as they are.

    Along each axis a kernel of k taps is the ramp 1 - |i - (k - 1) / 2| / (k / 2). Source: section 4.3.
    """
    if isinstance(module, nn.ConvTranspose2d):
        size = module.kernel_size[0]
        taps = torch.arange(size, device=module.weight.device)
        ramp = 1 - (taps - (size - 1) / 2).abs() / (size / 2)
        with torch.no_grad():
            module.weight.zero_().diagonal().copy_(ramp.outer(ramp)[..., None])


def cut(maps: Tensor, like: Tensor) -> Tensor:
    """Without the last rows and columns that `like` lacks; (N, C, H, W) -> (N, C, h, w).

    Padding by negative amounts, where slices would tie an exported program to the sizes that it was traced with.
    """
    return F.pad(maps, (0, like.shape[3] - maps.shape[3], 0, like.shape[2] - maps.shape[2]))


class Fusion(nn.Module):
    """Scores at 1/32 of the input's size, enlarged and added to those at 1/16, to those at 1/8, enlarged to all."""

    def __init__(self, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Sequential(
            nn.Conv2d(512, 4096, 7, padding=3), nn.ReLU(), nn.Dropout(dropout),
            nn.Conv2d(4096, 4096, 1), nn.ReLU(), nn.Dropout(dropout),
        )  # fmt: skip
        self.score_32, self.enlarge_32 = nn.Conv2d(4096, num_classes, 1), enlarge(num_classes, 2)
        self.score_16, self.enlarge_16 = nn.Conv2d(512, num_classes, 1), enlarge(num_classes, 2)
        self.score_8, self.enlarge_8 = nn.Conv2d(256, num_classes, 1), enlarge(num_classes, 8)
        self.dense.apply(he)
        for score in (self.score_32, self.score_16, self.score_8):
            for parameter in score.parameters():
                nn.init.zeros_(parameter)
        self.apply(bilinear)

    def forward(self, found: Sequence[Tensor], images: Tensor) -> Tensor:
        *_, eighth, sixteenth, coarse = found
        logits = cut(self.enlarge_32(self.score_32(self.dense(coarse))), sixteenth)
        logits = cut(self.enlarge_16(self.score_16(sixteenth) + logits), eighth)
        return cut(self.enlarge_8(self.score_8(eighth) + logits), images)


class FCN8s(Network):
    """VGG-16's convolutions, its two wide layers as convolutions, scores of three stages fused."""

    def __init__(self, *, in_channels: int = 3, num_classes: int = 21, dropout: float = 0.5) -> None:
        super().__init__()
        self.stem = stage(in_channels, 64, 2)
        self.stages = nn.Sequential(stage(64, 128, 2), stage(128, 256, 3), stage(256, 512, 3), stage(512, 512, 3))
        self.head = Fusion(num_classes, dropout)
        self.stem.apply(he)
        self.stages.apply(he)

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) images -> (N, num_classes, H, W) logits."""
        return self.head(self.features(images), images)  # type: ignore[no-any-return]
