"""Images whose symmetries and detail are known by construction; each function gives (N, H, W) uint8 and labels."""

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


def noisy(images: NDArray[np.float64], draw: np.random.Generator, sigma: float = 8.0) -> Images:
    """Grey levels around 128 with noise."""
    return (128 + images + draw.normal(0, sigma, images.shape)).clip(0, 255).astype(np.uint8)


def gratings(num: int, side: int = 32, seed: int = 0) -> tuple[Images, Labels]:
    """Stripes that rise (class 0) or fall (class 1), with random phase: mirrored, they are of the other class."""
    draw = np.random.default_rng(seed)
    labels = np.arange(num) % 2
    rows, columns = np.mgrid[:side, :side]
    along = rows + np.where(labels, 1, -1)[:, None, None] * columns
    return noisy(50 * np.sin(along * 0.6 + draw.uniform(0, 2 * np.pi, num)[:, None, None]), draw), labels


def blobs(num: int, side: int = 32, seed: int = 0, light: float = 0.0, spread: float = 2.0) -> tuple[Images, Labels]:
    """Bright (class 0) or dark (class 1) round spots anywhere, in an even light or one from above."""
    draw = np.random.default_rng(seed)
    labels = np.arange(num) % 2
    centres = draw.uniform(4, side - 4, (num, 2, 3))
    rows, columns = np.mgrid[:side, :side]
    squares = (rows[..., None] - centres[:, None, None, 0]) ** 2 + (columns[..., None] - centres[:, None, None, 1]) ** 2
    spots = np.exp(-squares / (2 * spread**2)).sum(axis=-1)
    images = 70 * spots * np.where(labels, -1, 1)[:, None, None] + light * np.linspace(1, -1, side)[:, None]
    return noisy(images, draw), labels


def arrows(num: int, side: int = 32, seed: int = 0) -> tuple[Images, Labels]:
    """Triangles that point to the right, wide (class 0) or narrow (class 1): mirror images don't occur."""
    draw = np.random.default_rng(seed)
    labels = np.arange(num) % 2
    rows, columns = np.mgrid[:side, :side]
    top, left = draw.uniform(12, side - 12, (2, num))[:, :, None, None]
    across, along = np.abs(rows - top), columns - left
    slope = np.where(labels, 0.35, 0.8)[:, None, None]
    inside = (along > -8) & (along < 8) & (across < slope * (8 - along) / 2 + 1)
    return noisy(90.0 * inside, draw), labels


def checks(num: int, side: int = 128, seed: int = 0) -> tuple[Images, Labels]:
    """A checkerboard of single pixels on class 1 only, which small sides can't hold, upon spots that say nothing."""
    draw = np.random.default_rng(seed)
    labels = np.arange(num) % 2
    spots, _ = blobs(num, side, seed, spread=10.0)
    rows, columns = np.mgrid[:side, :side]
    images = draw.choice([-1, 1], num)[:, None, None] * (spots - 128.0)
    return noisy(images + 20 * labels[:, None, None] * (-1) ** (rows + columns), draw, 2.0), labels
