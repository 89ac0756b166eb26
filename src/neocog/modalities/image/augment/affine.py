"""Affine maps of the plane, one for each picture: (N, 3, 3), over columns (x, y, 1) in pixels from the upper left.

The pixel in column 3 covers x from 3 to 4, so that its centre is at 3.5 and the picture's own at half its width.
`outer @ inner` maps by the inner, then by the outer.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Matrices", "about", "identity"]

Matrices = NDArray[np.float64]


def identity(num: int) -> Matrices:
    """Maps that move nothing; (num, 3, 3)."""
    return np.tile(np.eye(3), (num, 1, 1))


def about(linear: Matrices, size: tuple[int, int]) -> Matrices:
    """Linear maps (N, 2, 2) that keep the centre of a picture of this height and width where it is; (N, 3, 3)."""
    centre = np.array([size[1] / 2, size[0] / 2])
    matrices = identity(len(linear))
    matrices[:, :2, :2] = linear
    matrices[:, :2, 2] = centre - linear @ centre
    return matrices
