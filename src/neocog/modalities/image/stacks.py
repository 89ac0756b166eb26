"""Volumes as stacks of slices: an `.npy` array (D, H, W), or a TIFF of several pages of one size."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from neocog.errors import DataError

__all__ = ["is_stack_file", "read_stack"]

PLAIN = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
TIFFS = (".tif", ".tiff")


def is_stack_file(path: Path) -> bool:
    """Whether a file may hold a stack, by its suffix."""
    return path.suffix.lower() in (".npy", *TIFFS)


def read_stack(path: Path) -> NDArray[Any]:
    """The slices of a volume, (D, H, W) or (D, H, W, C); an `.npy` array stays in its file until a slice is read.

    Raises DataError for a file that can't be read, or is not a stack.
    """
    rule = "A stack is an .npy array (D, H, W) or (D, H, W, C), or a TIFF whose pages are grey or RGB, of one size."
    try:
        stack = np.load(path, mmap_mode="r", allow_pickle=False) if path.suffix.lower() == ".npy" else read_pages(path)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise DataError(rule, received=str(error)[:200], where=str(path), fix="Check the file.") from error
    if not isinstance(stack, np.ndarray) or stack.ndim not in (3, 4) or not len(stack):
        shape = " x ".join(map(str, getattr(stack, "shape", ())))
        raise DataError(rule, received=f"an array {shape}", where=str(path), fix="Leave --slices out, or reshape it.")
    return stack


def read_pages(path: Path) -> NDArray[Any]:
    """All pages of a TIFF. Raises ValueError for pages that differ, or whose values are not those of the pixels."""
    with tifffile.TiffFile(path) as file:
        pages = list(file.pages)
        if any(getattr(page, "photometric", None) not in PLAIN for page in pages):
            raise ValueError("pages that are neither grey with black as zero nor RGB")
        return np.stack([page.asarray() for page in pages])
