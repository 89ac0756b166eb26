"""Small grey images, and the 64 bits by which images that look alike are found.

Legend: N images, H height, W width, C channels.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.doctor.facts import THUMB

__all__ = ["perceptual_hashes", "samples_of", "small_pictures", "thumbs_of"]

Floats = NDArray[np.float32]
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
MOST_SAMPLES = 64  # rows and columns of an image that are looked at; more would tell hardly more, and cost
MIN_CONTRAST = 2.0  # standard deviation on the scale 0..255, below which a small image is noise or nothing
SCALE = 16  # of a thumb's values to a standard deviation: 8 of them fit in 8 bits
FREQUENCIES = 8


@lru_cache(maxsize=1024)
def sample_places(size: int) -> NDArray[np.int64]:
    """Rows or columns to look at, evenly spread: 16, or 32, 48, 64 of them if there are that many.

    >>> sample_places(12).tolist()
    [0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11]
    """
    count = THUMB * min(MOST_SAMPLES // THUMB, -(-size // THUMB))
    return (2 * np.arange(count) + 1) * size // (2 * count)


def samples_of(pictures: NDArray[Any]) -> NDArray[Any]:
    """The pixels that a small image is made of; (N, H, W) or (N, H, W, C) -> (N, 16a, 16b, C).

    Equal images have equal ones, so that they also tell which images may be equal.
    """
    rows, columns = (sample_places(side) for side in pictures.shape[1:3])
    samples = pictures.take(rows, axis=1).take(columns, axis=2)
    return samples[..., None] if samples.ndim == 3 else samples


def small_pictures(samples: NDArray[Any]) -> Floats:
    """Grey, on the scale 0..255, each value the mean of a x b samples; (N, 16a, 16b, C) -> (N, 16, 16)."""
    count, height, width, channels = samples.shape
    sums = samples.reshape(count, THUMB, height // THUMB, width * channels).sum(axis=2, dtype=np.float32)
    weights = GREY if channels == 3 else np.append(GREY, 0) if channels == 4 else np.full(channels, 1 / channels)
    white = 257 if samples.dtype == np.uint16 else 1
    share = np.tile(weights, width // THUMB) / (height // THUMB * (width // THUMB) * white)
    small: Floats = sums.reshape(count, THUMB, THUMB, -1) @ share.astype(np.float32)
    return small


def thumbs_of(small: Floats) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Small images of mean 0 and one contrast; (N, 16, 16). Which of them have any contrast; (N,)."""
    centred = small - small.mean(axis=(1, 2), keepdims=True)
    contrast = np.sqrt((centred * centred).mean(axis=(1, 2)))
    scaled = centred * (SCALE / np.maximum(contrast, MIN_CONTRAST))[:, None, None]
    return np.clip(np.rint(scaled), -127, 127).astype(np.int8), contrast >= MIN_CONTRAST


def perceptual_hashes(thumbs: NDArray[np.int8]) -> NDArray[np.uint64]:
    """64 bits each: which of 8x8 low frequencies are above the median of them; (N, 16, 16) -> (N,).

    Images that look alike differ in few bits: compression, a new size, and brightness move only frequencies that are
    near the median. Half of the bits are set, so that the hashes of different images spread evenly.
    Source: Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions, section 3.2.1.
    """
    orders = np.arange(1, FREQUENCIES + 1)[:, None]
    waves = np.cos(np.pi * (np.arange(THUMB) + 0.5) * orders / THUMB).astype(np.float32)
    hashes = np.empty(len(thumbs), np.uint64)
    for start in range(0, len(thumbs), 4096):
        amounts = (waves @ thumbs[start : start + 4096].astype(np.float32) @ waves.T).reshape(-1, 64)
        bits = amounts > np.median(amounts, axis=1, keepdims=True)
        hashes[start : start + 4096] = np.packbits(bits, axis=1).view(">u8")[:, 0]
    return hashes
