"""Fixed features of small images: responses to whitened random patches, pooled over a grid.

Nothing is trained. The filters are patches of the images themselves, so that they suit any kind of image, and there
are enough of them for a linear classifier to tell classes apart well above chance (Coates, Lee, Ng 2011; Coates & Ng
2011, who compare random patches with learned dictionaries). The features are not invariant to mirroring or turning.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["SMALLEST", "PatchFilters", "gram", "standardise"]

PATCH = 6
SMALLEST = 8
"""The smallest side of an image that has features."""
NUM_FILTERS = 96
NUM_PATCHES = 8_000
GRID = 3
"""Rows and columns of the grid over which responses are pooled."""
POSITIONS = 14
"""Rows and columns of places at which the filters are applied, about, whatever the size of the image."""
THRESHOLD = 0.5
"""Responses below it count as none, in standard deviations (soft threshold)."""
CONTRAST = 10 / 255
"""Added to the contrast of a patch, so that noise in flat areas isn't taken for structure (10 grey levels)."""
WHITENING = 0.1
"""Added to the variance in each direction, where that of a pixel is 1, so that noise isn't amplified."""
CHUNK = 64


@dataclass(frozen=True, slots=True, eq=False)
class PatchFilters:
    """Filters, (num_filters, C * 6 * 6), and what to subtract from their responses, (num_filters, 1)."""

    weight: Tensor
    offset: Tensor

    @classmethod
    def fit(cls, images: Tensor, *, seed: int) -> Self:
        """Choose filters from images; (N, C, H, W) float, at least 8x8.

        Patches are brought to mean 0 and contrast 1, whitened (ZCA), and some of them taken as filters of length 1.
        """
        patches = normal_patches(cut_patches(images, seed).T).T
        mean = patches.mean(dim=0)
        values, vectors = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
        whiten = (vectors / (values.clamp(min=0) + WHITENING).sqrt()) @ vectors.T
        white = (patches - mean) @ whiten
        lengths = white.norm(dim=1)
        usable = torch.nonzero(lengths > 1e-3 * lengths.max())[:NUM_FILTERS, 0]  # flat patches have no direction
        weight = white[usable] / lengths[usable, None] @ whiten
        return cls(weight, weight @ mean[:, None])

    def features(self, images: Tensor) -> Tensor:
        """The mean response above and below the threshold in each cell of a grid; (N, C, H, W) -> (N, filters * 18)."""
        stride = max(1, round((min(images.shape[2:]) - PATCH) / (POSITIONS - 1)))
        pooling = pooling_matrix(*((side - PATCH) // stride + 1 for side in images.shape[2:]))
        parts = [self.respond(part, stride, pooling) for part in torch.split(images, CHUNK)]
        return torch.cat(parts) if parts else images.new_zeros(0, 2 * len(self.weight) * pooling.shape[1])

    def respond(self, images: Tensor, stride: int, pooling: Tensor) -> Tensor:
        """The features of a few images."""
        responses = self.weight @ normal_patches(F.unfold(images, PATCH, stride=stride)) - self.offset
        above, below = responses.clamp(min=THRESHOLD) @ pooling, responses.clamp(max=-THRESHOLD) @ pooling
        return torch.cat([above, below], dim=1).flatten(1)


def normal_patches(patches: Tensor) -> Tensor:
    """Patches with mean 0 and contrast 1; (..., C * 6 * 6, L)."""
    flat = patches - patches.mean(dim=-2, keepdim=True)
    return flat * (flat.square().mean(dim=-2, keepdim=True) + CONTRAST**2).rsqrt()


def pooling_matrix(rows: int, columns: int) -> Tensor:
    """Means over the cells of a grid, as a matrix; (rows * columns, cells)."""

    def means(count: int) -> Tensor:
        cells = torch.arange(count) * min(GRID, count) // count
        member = F.one_hot(cells).float()
        return member / member.sum(dim=0)

    return torch.einsum("ai,bj->abij", means(rows), means(columns)).reshape(rows * columns, -1)


def cut_patches(images: Tensor, seed: int) -> Tensor:
    """Patches from random places; (N, C, H, W) -> (8000, C * 6 * 6)."""
    draw = np.random.default_rng(seed)
    count, _, height, width = images.shape
    which = torch.from_numpy(draw.integers(0, count, NUM_PATCHES))
    rows = torch.from_numpy(draw.integers(0, height - PATCH + 1, NUM_PATCHES))[:, None] + torch.arange(PATCH)
    columns = torch.from_numpy(draw.integers(0, width - PATCH + 1, NUM_PATCHES))[:, None] + torch.arange(PATCH)
    cut = images.movedim(1, 3)[which[:, None, None], rows[:, :, None], columns[:, None, :]]
    return cut.movedim(3, 1).flatten(1)


def standardise(features: Tensor, like: Tensor) -> Tensor:
    """Features with mean 0 and standard deviation 1 over the rows of `like`; (N, D) -> (N, D)."""
    spread = like.std(dim=0, correction=0)
    return (features - like.mean(dim=0)) / (spread + 0.1 * spread.mean() + 1e-12)


def gram(first: Tensor, second: Tensor) -> Tensor:
    """Inner products of two sets of features per feature; (N, D), (M, D) -> (N, M) float64."""
    return (first @ second.T).double() / first.shape[1]
