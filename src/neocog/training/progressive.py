"""Progressive resolution: images are trained smaller at first, which takes less time, and whole towards the end.

The size is a function of the position in the run alone, so that a resumed run has the same sizes. Sources: Howard 2018
(DAWNBench, "Training Imagenet in 3 hours for $25"); Tan & Le 2021 (EfficientNetV2), section 4.
"""

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor

__all__ = ["mean_work", "reduce_images", "size_at", "sizes", "work_at"]

GROWS_UNTIL = 0.6  # of the run; the rest is trained at the size of validation
STAGES = 4  # sizes before the whole one: each change of size costs a little, and compilers and caches like few shapes


def sizes(size: tuple[int, int], share: float) -> list[tuple[int, int]]:
    """The sizes (height, width) from the smallest to the whole one, for a first size of this share of the sides.

    Sides are multiples of 16; of 8 if the shorter whole side is at most 128, of 4 if it is at most 64.

    >>> sizes((224, 224), 0.5)
    [(112, 112), (144, 144), (176, 176), (192, 192), (224, 224)]
    """
    grid = next((grid for most, grid in ((64, 4), (128, 8)) if min(size) <= most), 16)
    found = []
    for stage in range(STAGES):
        now = share + (1 - share) * stage / STAGES
        height, width = (min(side, max(grid, math.floor(side * now / grid + 0.5) * grid)) for side in size)
        found.append((height, width))
    return [*found, size]


def stage_at(position: float) -> int:
    return min(STAGES, math.floor(position / GROWS_UNTIL * STAGES))


def size_at(size: tuple[int, int], share: float, position: float) -> tuple[int, int]:
    """The size at a position in the run, 0 <= position < 1.

    >>> [size_at((32, 32), 0.5, position) for position in (0, 0.3, 0.6)]
    [(16, 16), (24, 24), (32, 32)]
    """
    return sizes(size, share)[stage_at(position)]


def work_at(size: tuple[int, int], share: float, position: float) -> float:
    """The share of its pixels that an image has at a position, about that of the time of a step.

    >>> work_at((32, 32), 0.5, 0.0)
    0.25
    """
    height, width = size_at(size, share, position)
    return height * width / (size[0] * size[1])


def mean_work(size: tuple[int, int], share: float, position: float) -> float:
    """The mean of `work_at` from a position to the end of the run.

    >>> mean_work((32, 32), 0.5, 0.6), round(mean_work((32, 32), 0.5, 0.0), 3)
    (1.0, 0.695)
    """
    if position >= 1:
        return 1.0
    bounds = [GROWS_UNTIL * stage / STAGES for stage in range(STAGES + 1)] + [1.0]
    work = 0.0
    for stage, (begin, end) in enumerate(pairwise(bounds)):
        height, width = sizes(size, share)[stage]
        work += max(0.0, end - max(begin, position)) * height * width
    return work / (1 - position) / (size[0] * size[1])


def reduce_images(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (N, C, H, W) at a smaller size, bilinear with antialiasing; as they are if they have this size."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
