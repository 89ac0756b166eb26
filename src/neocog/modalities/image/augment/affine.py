"""Affine transforms, one for each image, and images resampled by them: by whole pixels, bilinear, or nearest.

Transforms are (N, 3, 3) or (N, 2, 3), over columns (x, y, 1) in pixels from the upper left corner, and lead from a
place in the new image to one in the old. The pixel in column 3 covers x from 3 to 4, so that its centre is at 3.5.
`outer @ inner` maps by the inner, then by the outer.
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.modalities.image.augment.config import Border

__all__ = [
    "Matrices", "identity", "keep_centre", "sample_bilinear", "sample_nearest", "sample_whole_pixels", "translations",
]  # fmt: skip

Matrices = NDArray[np.float64]
MAX_MASKS = 2**18  # bytes
PADDED = {"black": "constant", "edge": "replicate", "mirror": "reflect"}
SAMPLED = {"black": "zeros", "edge": "border", "mirror": "reflection"}


def identity(num: int) -> Matrices:
    """Transforms that change nothing; (num, 3, 3)."""
    return np.tile(np.eye(3), (num, 1, 1))


def keep_centre(linear: Matrices, size: tuple[int, int]) -> Matrices:
    """Linear maps (N, 2, 2) that keep the centre of an image of this height and width in place; (N, 3, 3)."""
    centre = np.array([size[1] / 2, size[0] / 2])
    matrices = identity(len(linear))
    matrices[:, :2, :2] = linear
    matrices[:, :2, 2] = centre - linear @ centre
    return matrices


def translations(matrices: Matrices, size: tuple[int, int]) -> NDArray[np.float64]:
    """How far flipped and translated images are moved after the flip: (x, y) in the old image; (N, 2)."""
    moved = matrices[:, :, 2].copy()
    for axis in (0, 1):
        flipped = matrices[:, axis, axis] < 0
        moved[flipped, axis] = size[1 - axis] - moved[flipped, axis]
    return moved


def sample_whole_pixels(images: Tensor, matrices: Matrices, margin: int, border: Border) -> Tensor:
    """Flip, and shift each image by whole pixels within the margin: values are copied, none is computed."""
    height, width = images.shape[2:]
    moves = translations(matrices, (height, width)).astype(np.int64)
    for axis in (0, 1):
        flipped = torch.from_numpy(np.flatnonzero(matrices[:, axis, axis] < 0)).to(images.device)
        if len(flipped):
            images = images.index_copy(0, flipped, images.index_select(0, flipped).flip(3 - axis))
    if not margin:
        return images
    few = (2 * margin + 1) ** 2 * height * width <= MAX_MASKS and margin < min(height, width)
    if few and border == "black" and images.dtype == torch.uint8 and images.device.type == "cpu":
        return shift_bytes(images, moves, margin)
    return crop_padded(images, moves, margin, border)


def shift_bytes(images: Tensor, moves: NDArray[np.int64], margin: int) -> Tensor:
    """As `crop_padded` with a black border, for bytes, in less than half of its time, since nothing is padded.

    A shifted image is a piece of the batch that begins elsewhere, in which the pixels of neighbouring rows and images
    are masked. The first and last image can begin outside the batch: these are padded.
    """
    num, _, height, width = images.shape
    images, size = images.contiguous(), images[0].numel()
    starts = np.arange(num) * size + moves[:, 1] * width + moves[:, 0]
    last = (num - 1) * size
    outside = np.flatnonzero((starts < 0) | (starts > last))
    pieces = images.as_strided((last + 1, size), (1, 1))
    shifted = pieces.index_select(0, torch.from_numpy(starts.clip(0, last))).view_as(images)
    masks = torch.from_numpy((moves[:, 1] + margin) * (2 * margin + 1) + moves[:, 0] + margin)
    shifted &= inside_masks(height, width, margin).index_select(0, masks)[:, None]
    if len(outside):
        places = torch.from_numpy(outside)
        shifted.index_copy_(0, places, crop_padded(images.index_select(0, places), moves[outside], margin, "black"))
    return shifted


@lru_cache(maxsize=4)
def inside_masks(height: int, width: int, margin: int) -> Tensor:
    """For each shift, by rows, then by columns, 255 where the old image is and 0 outside; ((2 margin + 1)^2, H, W)."""
    moves = torch.arange(-margin, margin + 1)[:, None]
    down, across = torch.arange(height) + moves, torch.arange(width) + moves
    rows, columns = (down >= 0) & (down < height), (across >= 0) & (across < width)
    inside = rows[:, None, :, None] & columns[None, :, None, :]
    return inside.flatten(0, 1).to(torch.uint8) * 255


def crop_padded(images: Tensor, moves: NDArray[np.int64], margin: int, border: Border) -> Tensor:
    """Pad images by the margin and crop each at its own place.

    Every window that starts at any value of the padded batch is a row of one overlapping view, so that cropping is
    selecting rows: a plain copy, five times as fast as indexing by rows and columns.
    """
    num, channels, height, width = images.shape
    floats = images if border == "black" else images.float()
    padded = F.pad(floats, (margin,) * 4, mode=PADDED[border]).to(images.dtype).contiguous()
    row, plane = width + 2 * margin, (width + 2 * margin) * (height + 2 * margin)
    last = padded.numel() - (channels - 1) * plane - (height - 1) * row - width
    windows = padded.as_strided((last + 1, channels, height, width), (1, plane, row, 1))
    starts = np.arange(num) * channels * plane + (moves[:, 1] + margin) * row + moves[:, 0] + margin
    return windows.index_select(0, torch.from_numpy(starts).to(images.device))


def sample_bilinear(images: Tensor, matrices: Matrices, border: Border) -> Tensor:
    """Each pixel between its four neighbours; (N, C, H, W) float32 -> the same."""
    height, width = images.shape[2:]
    # grid_sample counts in half widths and heights from the centre. The part that depends on x and the part that
    # depends on y are computed apart and added once; torch's affine_grid multiplies matrices at every place.
    scaled = matrices * np.array([[2 / width], [2 / height]])
    scaled[:, :, 2] -= 1
    along, down = (part.float() for part in halves(scaled, (height, width), images.device))
    grid = (down[:, :, :, None] + along[:, :, None, :]).permute(1, 2, 3, 0)  # (N, H, W, 2): x and y
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=SAMPLED[border], align_corners=False)


def sample_nearest(planes: Tensor, matrices: Matrices, fill: int) -> Tensor:
    """The values of the nearest pixels, and `fill` outside; (N, K, H, W) -> the same."""
    height, width = planes.shape[2:]
    along, down = halves(matrices, (height, width), planes.device)
    x, y = (down[:, :, :, None] + along[:, :, None, :]).floor().long()
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)  # (N, H, W)
    places = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten(1)
    found = planes.flatten(2).gather(2, places[:, None].expand(-1, planes.shape[1], -1)).view_as(planes)
    return torch.where(inside[:, None], found, torch.full_like(found, fill))


def halves(matrices: Matrices, size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Old places of the new pixels' centres, as what x adds, (2, N, W), and what y adds, (2, N, H); float64."""
    height, width = size
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    middle = width / 2  # small numbers in the part that is added last keep its float32 exact
    linear, moved = matrices[:, :, :2].transpose(2, 1, 0), matrices[:, :, 2].T  # linear: (new, old, N)
    along = linear[0][:, :, None] * (x - middle)
    down = linear[1][:, :, None] * y + (moved + linear[0] * middle)[:, :, None]
    return torch.from_numpy(along).to(device), torch.from_numpy(down).to(device)
