"""A random order of any size in O(1) memory: position -> index, for any epoch, without a table.

A Feistel network on the rectangle a x b >= n: a position is written as (left, right) = divmod(position, b); each round
adds a keyed hash of one half to the other, modulo its side, which is a bijection whatever the hash. The few positions
that leave 0..n-1 are sent through again until they return ("cycle walking").

Source: Black & Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, sections 3 and 4.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.rng.draws import derive_seed

__all__ = ["permute"]

ROUNDS = 8


def permute(positions: ArrayLike, size: int, seed: int, epoch: int, purpose: str = "order") -> NDArray[np.int64]:
    """The indices at these positions of a keyed random order of 0..size-1.

    Shapes: positions (N,) in 0..size-1 -> (N,). Memory: O(N), whatever the size.

    >>> sorted(permute(range(5), size=5, seed=0, epoch=0).tolist())
    [0, 1, 2, 3, 4]
    >>> int(permute([123], size=10**12, seed=0, epoch=0)[0]) < 10**12
    True
    """
    b = math.isqrt(size - 1) + 1
    a = -(-size // b)
    keys = [derive_seed(seed, purpose, epoch, i) for i in range(ROUNDS)]
    walked = np.array(positions, dtype=np.uint64)
    outside = np.arange(walked.size)
    while outside.size:
        walked[outside] = feistel(walked[outside], a, b, keys)
        outside = outside[walked[outside] >= size]
    return walked.astype(np.int64)


def feistel(positions: NDArray[np.uint64], a: int, b: int, keys: list[int]) -> NDArray[np.uint64]:
    """A keyed bijection of 0..a*b-1; (N,) -> (N,)."""
    left, right = np.divmod(positions, np.uint64(b))
    for i, key in enumerate(keys):
        if i % 2 == 0:
            left = (left + mix(right ^ np.uint64(key)) % np.uint64(a)) % np.uint64(a)
        else:
            right = (right + mix(left ^ np.uint64(key)) % np.uint64(b)) % np.uint64(b)
    return np.asarray(left * np.uint64(b) + right)


def mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The 64-bit finaliser of SplitMix: each input bit moves each output bit about half of the time.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 17.
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
