"""COCO's run lengths of a mask, plain and packed into a string."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack_runs", "run_lengths"]


def run_lengths(inside: NDArray[np.bool_]) -> list[int]:
    """How many pixels are outside, inside, outside, ... in turn, column by column; (H, W).

    >>> run_lengths(np.array([[0, 1], [1, 1]], bool))
    [1, 3]
    """
    line = inside.T.ravel()
    ends = np.flatnonzero(np.diff(line)) + 1
    runs = np.diff(np.concatenate([[0], ends, [line.size]]))
    return [0, *runs.tolist()] if line[0] else list(map(int, runs))


def pack_runs(runs: Sequence[int]) -> str:
    """Run lengths as COCO packs them, for pycocotools and for `annotations.outlines.unpack_runs`.

    From the fourth on, a run is stored as the difference to the one two before; each number in groups of five bits, the
    lowest first, a sixth bit for "more follows", and 48 added to make it a character.
    Source: cocoapi, common/maskApi.c, rleToString.

    >>> pack_runs([1, 3]), pack_runs([0, 5, 40, 5])
    ('13', '05X10')
    """
    found = bytearray()
    for i, run in enumerate(runs):
        left = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits = left & 31
            left >>= 5
            more = left != (-1 if bits & 16 else 0)
            found.append(48 + bits + 32 * more)
    return found.decode("ascii")
