"""Images that nearly equal each other: pairs of hashes that differ in few bits, found without comparing all pairs.

Of four bands of 16 bits, one differs in at most one bit wherever all 64 differ in at most 7. So it is enough to look,
band by band, for equal values and for those one bit away, which sorting brings together.
Source: Norouzi, Punjani & Fleet 2012, Fast search in Hamming space with multi-index hashing.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_BITS", "MIN_CORRELATION", "correlations", "near_pairs"]

MAX_BITS = 7
"""Of 64, by which two images' hashes may differ; they always differ in an even number."""
MIN_CORRELATION = 0.995
"""Of two small images, from which on they are called near duplicates."""
BANDS, BITS = 4, 16
AT_ONCE = 2**21  # pairs that are compared at once
MOST_PAIRS = 10**9  # that are compared at all: some ten seconds
Indices = NDArray[np.int64]


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
        ends = np.searchsorted(values, values, side="right")
        yield from spread(order, np.arange(1, len(values) + 1), ends)
        for bit in range(BITS):
            lower = np.flatnonzero(values & (1 << bit) == 0)  # each pair once, from the one without the bit
            wanted = values[lower] | (1 << bit)
            starts, ends = np.searchsorted(values, wanted), np.searchsorted(values, wanted, side="right")
            yield from spread(order, starts, ends, lower)


def spread(
    order: Indices, starts: Indices, ends: Indices, rows: Indices | None = None
) -> Iterator[tuple[Indices, Indices]]:
    """Each row with all from its start to its end, as pairs in the original order, a limited number at once."""
    rows = np.arange(len(order)) if rows is None else rows
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


def correlations(thumbs: NDArray[np.int8], first: Indices, second: Indices) -> NDArray[np.float32]:
    """How far the small images of pairs rise and fall together, at most 1; (P,)."""
    area = thumbs.shape[1] * thumbs.shape[2]
    found = np.empty(len(first), np.float32)
    for start in range(0, len(first), 2**14):
        part = slice(start, start + 2**14)
        a, b = (unit(thumbs[pair[part]].reshape(-1, area)) for pair in (first, second))
        found[part] = np.einsum("pi,pi->p", a, b)
    return found


def unit(vectors: NDArray[np.int8]) -> NDArray[np.float32]:
    """Of mean 0 and length 1, exactly: rounding has shifted both; (P, 256)."""
    centred = vectors - vectors.mean(axis=1, keepdims=True, dtype=np.float32)
    units: NDArray[np.float32] = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return units
