"""Images that look alike: small grey images, 64 bits of each, and pairs that differ in few bits.

Legend: N images, H height, W width, C channels.

Of four bands of 16 bits, one differs in at most one bit if all 64 differ in at most 7. So it is enough to look, band by
band, for equal values and for those one bit away, which sorting brings together, instead of comparing all pairs.
Source: Norouzi, Punjani & Fleet 2012, Fast search in Hamming space with multi-index hashing.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.doctor.facts import THUMB

__all__ = ["MIN_CORRELATION", "correlations", "near_pairs", "perceptual_hashes", "samples_of", "thumbs_of"]

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
MOST_SAMPLES = 64  # rows and columns of an image that are looked at; more would tell hardly more, and cost
MIN_CONTRAST = 2.0  # standard deviation on the scale 0..255, below which a small image is noise or nothing
SCALE = 16  # of a thumb's values to a standard deviation: 8 of them fit in 8 bits
FREQUENCIES = 8
MAX_BITS = 7
"""Of 64, by which two images' hashes may differ; they always differ in an even number."""
MIN_CORRELATION = 0.995
"""Of two small images, from which on they are called near duplicates."""
BANDS, BITS = 4, 16
AT_ONCE = 2**21  # pairs that are compared at once
MOST_PAIRS = 10**9  # that are compared at all: some ten seconds


@lru_cache(maxsize=1024)
def sample_places(size: int) -> Indices:
    """Rows or columns to look at, evenly spread: 16, or 32, 48, 64 of them if there are that many.

    >>> sample_places(12).tolist()
    [0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11]
    """
    count = THUMB * min(MOST_SAMPLES // THUMB, -(-size // THUMB))
    return (2 * np.arange(count) + 1) * size // (2 * count)


def samples_of(images: NDArray[Any]) -> NDArray[Any]:
    """The pixels that a small image is made of; (N, H, W) or (N, H, W, C) -> (N, 16a, 16b, C).

    Equal images have equal ones, so that they also tell which images may be equal.
    """
    rows, columns = (sample_places(side) for side in images.shape[1:3])
    samples = images.take(rows, axis=1).take(columns, axis=2)
    return samples[..., None] if samples.ndim == 3 else samples


def small_images(samples: NDArray[Any]) -> Floats:
    """Grey, on the scale 0..255, each value the mean of a x b samples; (N, 16a, 16b, C) -> (N, 16, 16)."""
    count, height, width, channels = samples.shape
    sums = samples.reshape(count, THUMB, height // THUMB, width * channels).sum(axis=2, dtype=np.float32)
    weights = GREY if channels == 3 else np.append(GREY, 0) if channels == 4 else np.full(channels, 1 / channels)
    white = 257 if samples.dtype == np.uint16 else 1
    share = np.tile(weights, width // THUMB) / (height // THUMB * (width // THUMB) * white)
    small: Floats = sums.reshape(count, THUMB, THUMB, -1) @ share.astype(np.float32)
    return small


def thumbs_of(samples: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Small images of mean 0 and one contrast, and which of them have any; (N, 16a, 16b, C) -> (N, 16, 16), (N,)."""
    small = small_images(samples)
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


def near_pairs(hashes: NDArray[np.uint64], most: int = MOST_PAIRS) -> Iterator[tuple[Indices, Indices] | None]:
    """Pairs of places whose hashes differ in at most `MAX_BITS` bits, in parts; a pair may come more than once.

    A None at the end says that the search was cut, after `most` comparisons.
    """
    compared = 0
    for first, second in candidates(hashes):
        compared += len(first)
        if compared > most:
            yield None
            return
        near = np.bitwise_count(hashes[first] ^ hashes[second]) <= MAX_BITS
        if near.any():
            yield first[near], second[near]


def candidates(hashes: NDArray[np.uint64]) -> Iterator[tuple[Indices, Indices]]:
    """Pairs that agree in a band but for one bit."""
    for band in range(BANDS):
        values = ((hashes >> np.uint64(BITS * band)) & np.uint64(2**BITS - 1)).astype(np.int64)
        order = np.argsort(values, kind="stable")
        values = values[order]
        rows = np.arange(len(order))
        yield from spread(order, rows, rows + 1, np.searchsorted(values, values, side="right"))
        for bit in range(BITS):
            lower = np.flatnonzero(values & (1 << bit) == 0)  # each pair once, from the one without the bit
            wanted = values[lower] | (1 << bit)
            starts, ends = np.searchsorted(values, wanted), np.searchsorted(values, wanted, side="right")
            yield from spread(order, lower, starts, ends)


def spread(order: Indices, rows: Indices, starts: Indices, ends: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Each row with all from its start to its end, as pairs in the original order, a limited number at once."""
    counts = np.maximum(ends - starts, 0)
    filled = np.flatnonzero(counts)
    rows, starts, counts = rows[filled], starts[filled], counts[filled]
    parts = np.cumsum(counts) // AT_ONCE
    for chosen in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(parts)) + 1):
        if not chosen.size:
            continue
        number = counts[chosen]
        within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
        yield order[np.repeat(rows[chosen], number)], order[np.repeat(starts[chosen], number) + within]


def correlations(thumbs: NDArray[np.int8], first: Indices, second: Indices) -> Floats:
    """How far the small images of pairs rise and fall together, at most 1; (P,)."""
    area = thumbs.shape[1] * thumbs.shape[2]
    found = np.empty(len(first), np.float32)
    for start in range(0, len(first), 2**14):
        part = slice(start, start + 2**14)
        a, b = (to_unit(thumbs[pair[part]].reshape(-1, area)) for pair in (first, second))
        found[part] = np.einsum("pi,pi->p", a, b)
    return found


def to_unit(vectors: NDArray[np.int8]) -> Floats:
    """Vectors of mean 0 and length 1, exactly, because rounding has shifted both; (P, 256)."""
    centred = vectors - vectors.mean(axis=1, keepdims=True, dtype=np.float32)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True))
