"""What a record may be labelled with, beside one class."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNLABELLED", "Objects", "Target", "Task"]

Task = Literal["classification", "multi-label", "segmentation", "detection", "next move"]

UNLABELLED = 255
"""In a mask: a place that belongs to no class and is not scored, as in Pascal VOC."""


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one picture, in its own pixels, before any resizing."""

    boxes: NDArray[np.float32]
    """Left, top, right, bottom of each; (M, 4). Pixel columns 3 to 5 are left 3, right 6."""
    labels: NDArray[np.int64]
    """(M,)."""
    masks: NDArray[np.bool_] | None = None
    """(M, H, W), where the outlines are known."""

    def __len__(self) -> int:
        return len(self.labels)


Target = int | NDArray[Any] | Objects
"""A class; a row of yes and no, (K,) bool, for several labels at once; a mask (H, W) uint8; or objects."""
