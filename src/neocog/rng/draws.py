"""Numbers drawn by key: the same (seed, epoch, sample, purpose) always gives the same number, on any machine."""

import functools
import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.rng.philox import LOW, philox4x32

__all__ = ["bits", "derive_seed", "integers", "normal", "uniform"]


@functools.lru_cache(maxsize=1024)
def derive_seed(seed: int, purpose: str, *parts: int) -> int:
    """A 63-bit seed for a generator that needs one, such as torch's, derived from the run's seed.

    >>> derive_seed(0, "init") == derive_seed(0, "init"), derive_seed(0, "init") == derive_seed(1, "init")
    (True, False)
    """
    text = ":".join([str(seed), purpose, *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1


def bits(seed: int, epoch: int, samples: ArrayLike, purpose: str, num: int) -> NDArray[np.uint64]:
    """`num` random 32-bit words for each sample.

    Shapes: samples (N,) of unsigned 64-bit identities -> (N, num).
    """
    identities = np.asarray(samples, dtype=np.uint64)
    blocks = -(-num // 4)
    counter = np.empty((4, blocks, identities.size), np.uint64)
    counter[0] = identities & LOW
    counter[1] = identities >> np.uint64(32)
    counter[2] = np.arange(blocks, dtype=np.uint64)[:, None]
    counter[3] = epoch & 0xFFFFFFFF
    key = derive_seed(seed, purpose)
    words = philox4x32(counter, (key & 0xFFFFFFFF, key >> 32))  # (4, blocks, N)
    return words.transpose(2, 1, 0).reshape(identities.size, 4 * blocks)[:, :num]


def uniform(seed: int, epoch: int, samples: ArrayLike, purpose: str, num: int = 1) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), `num` for each sample.

    Shapes: samples (N,) -> (N, num).

    >>> a = uniform(0, epoch=3, samples=[7, 8, 9], purpose="flip")
    >>> b = uniform(0, epoch=3, samples=[9], purpose="flip")
    >>> a.shape, bool(a[2] == b[0])
    ((3, 1), True)
    """
    return (bits(seed, epoch, samples, purpose, num).astype(np.float64) + 0.5) * 2.0**-32


def integers(
    seed: int, epoch: int, samples: ArrayLike, purpose: str, low: int, high: int, num: int = 1
) -> NDArray[np.int64]:
    """Integers in low..high, both ends included, `num` for each sample; (N,) -> (N, num).

    >>> integers(0, epoch=0, samples=range(1000), purpose="shift", low=-2, high=2).min()
    np.int64(-2)
    """
    span = np.uint64(high - low + 1)
    words = bits(seed, epoch, samples, purpose, num)
    return (words * span >> np.uint64(32)).astype(np.int64) + low


def normal(seed: int, epoch: int, samples: ArrayLike, purpose: str, num: int = 1) -> NDArray[np.float64]:
    """Standard normal numbers, `num` for each sample; (N,) -> (N, num).

    Source: Box & Muller 1958.
    """
    pairs = uniform(seed, epoch, samples, purpose, 2 * num)
    radius = np.sqrt(-2.0 * np.log(pairs[:, :num]))
    return np.asarray(radius * np.cos(2.0 * np.pi * pairs[:, num:]))
