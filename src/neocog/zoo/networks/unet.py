"""U-Net: convolutional networks for biomedical image segmentation (Ronneberger et al., 2015).

Paper: https://arxiv.org/abs/1505.04597. A path down to ever more channels at ever lower resolution, and one back up
that reads, at each resolution, what the path down had found there. No batch norm; every convolution has a bias.
The paper pads nowhere, so that 572 x 572 in gives 388 x 388 out and skipped maps are cropped; `padding=True`, today's
common form, keeps the input's size, whatever it is. `unet_small` has a quarter of the channels, a sixteenth of the
arithmetic, and batch norm, with which it learns in few epochs.

Shapes with padding (N batch, C channels, H height, W width, K classes; h, w halve from stage to stage, rounded up):

    stem      (N, C, H, W)               -> (N, 64, H, W)
    stage 0   (N, 64, H, W)              -> (N, 64, H, W)
    stage i   (N, 32 * 2**i, 2h, 2w)     -> (N, 64 * 2**i, h, w)    i from 1 to 4
    head      the maps of all stages     -> (N, K, H, W)
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.zoo.network import Network

__all__ = ["SMALL", "WIDTHS", "UNet"]

# Channels of each stage: as published, and of `unet_small`.
WIDTHS = (64, 128, 256, 512, 1024)
SMALL = (16, 32, 64, 128, 256)

Conv = Callable[[int, int], nn.Sequential]


def conv(c_in: int, c_out: int, *, padding: bool, norm: bool) -> nn.Sequential:
    """3x3, batch norm or not, and ReLU; (N, c_in, H, W) -> (N, c_out, H, W), or 2 less each way without padding."""
    norms = [nn.BatchNorm2d(c_out)] if norm else []
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=int(padding), bias=not norm), *norms, nn.ReLU())


def crop(maps: Tensor, like: Tensor) -> Tensor:
    """The middle of maps; (N, C, H, W) -> (N, C, h, w), the size of `like`.

    Padding by negative amounts, where slices would tie an exported program to the sizes that it was traced with.
    """
    (h_in, w_in), (h, w) = maps.shape[2:], like.shape[2:]
    top, left = (h_in - h) // 2, (w_in - w) // 2
    return F.pad(maps, (-left, left + w - w_in, -top, top + h - h_in))


def gaussian_by_inputs(module: nn.Module) -> None:
    """Normal weights, std = sqrt(2 / N) for N values that one output is made of; zero biases. Source: section 3.

    A transposed convolution's stride deals its kernel's taps out to different outputs.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        taps = math.prod(module.kernel_size) // math.prod(module.stride)
        nn.init.normal_(module.weight, std=math.sqrt(2 / (module.in_channels * taps)))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class StepUp(nn.Module):
    """Twice the size at fewer channels, with the skipped maps beside, then two convolutions.

    (N, c_in, h, w) and (N, c, H, W) -> (N, c, H, W), or 4 less than 2h and 2w without padding.
    """

    def __init__(self, c_in: int, c: int, convolve: Conv, padding: bool) -> None:
        super().__init__()
        self.padding = padding
        self.up = nn.ConvTranspose2d(c_in, c, 2, 2)
        self.convs = nn.Sequential(convolve(2 * c, c), convolve(c, c))

    def forward(self, maps: Tensor, skipped: Tensor) -> Tensor:
        maps = self.up(maps)
        if self.padding:
            maps = crop(maps, skipped)  # one row or column less where pooling had rounded up
        else:
            skipped = crop(skipped, maps)
        return self.convs(torch.cat([skipped, maps], 1))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """The path up, from the deepest maps to logits for each pixel."""

    def __init__(self, widths: Sequence[int], num_classes: int, convolve: Conv, padding: bool) -> None:
        super().__init__()
        self.steps = nn.ModuleList(StepUp(c_in, c, convolve, padding) for c_in, c in pairwise(reversed(widths)))
        self.classify = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, found: Sequence[Tensor]) -> Tensor:
        maps = found[-1]
        for i, step in enumerate(self.steps):
            maps = step(maps, found[-2 - i])
        return self.classify(maps)  # type: ignore[no-any-return]


class UNet(Network):
    """A resolution for each of `widths`: down, and up again, with two 3x3 convolutions at each.

    `dropout` acts behind the two deepest stages; place and rate are those of the authors' published network.
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 2,
        padding: bool = True,
        dropout: float = 0.5,
        widths: Sequence[int] = WIDTHS,
        norm: bool = False,
    ) -> None:
        super().__init__()
        convolve = partial(conv, padding=padding, norm=norm)
        self.stem = convolve(in_channels, widths[0])
        stages = [convolve(widths[0], widths[0])]
        for i, (c_in, c_out) in enumerate(pairwise(widths), start=1):
            pool = nn.MaxPool2d(2, ceil_mode=padding)
            drop = [nn.Dropout(dropout)] if i >= len(widths) - 2 else []
            stages.append(nn.Sequential(pool, convolve(c_in, c_out), convolve(c_out, c_out), *drop))
        self.stages = nn.Sequential(*stages)
        self.head = Decoder(widths, num_classes, convolve, padding)
        self.apply(gaussian_by_inputs)

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) images -> (N, num_classes, H, W) logits.

        Without padding, H and W of the logits are less by 184 for five stages, or by more where a pooling meets an odd
        size.
        """
        return self.head(self.features(images))  # type: ignore[no-any-return]
