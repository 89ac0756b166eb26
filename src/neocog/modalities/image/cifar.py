"""CIFAR-10 and CIFAR-100 in their binary version: label bytes, then 3,072 bytes of picture, plane by plane.

Source: Krizhevsky 2009; the page of the CIFAR data sets, "Binary version".
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.modalities.image.arrays import ArraySource

__all__ = ["find_cifar", "open_cifar"]

PIXELS = 3 * 32 * 32
MAX_NAMES = 2**20


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one version; `label_bytes` precede each picture and the last of them is the class."""

    folder: str
    names: str
    label_bytes: int
    splits: dict[str, tuple[str, ...]]


LAYOUTS = (
    Layout(
        "cifar-10-batches-bin", "batches.meta.txt", 1,
        {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)},
    ),
    Layout(
        "cifar-100-binary", "fine_label_names.txt", 2,
        {"train": ("train.bin",), "test": ("test.bin",)},
    ),
)  # fmt: skip


def find_cifar(folder: Path) -> tuple[Path, Layout] | None:
    """The folder with the binary files, which is this one or the published one within it."""
    for layout in LAYOUTS:
        for place in (folder, folder / layout.folder):
            if (place / layout.names).is_file():
                return place, layout
    return None


def open_cifar(name: str, folder: Path, layout: Layout) -> ArraySource:
    """The source that these files make. Raises DataError where one is missing or cut off."""
    classes = class_names(folder / layout.names)
    parts = {}
    for split, files in layout.splits.items():
        batches = [read_batch(folder / file, layout.label_bytes) for file in files]
        pictures = np.concatenate([pixels for pixels, _ in batches])
        parts[split] = (pictures, np.concatenate([labels for _, labels in batches]))
    return ArraySource(name, parts, classes, format="cifar")


def class_names(path: Path) -> list[str]:
    """The words of a file. Raises DataError where it is no text."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_NAMES).decode().split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} names the classes, a word for each. It can't be read: {error}.") from error


def read_batch(path: Path, label_bytes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures (N, 32, 32, 3) and labels (N,)."""
    if not path.is_file():
        raise DataError(f"CIFAR's binary version has a file {path.name}. It is missing in {path.parent}.")
    values = np.fromfile(path, np.uint8)
    record = label_bytes + PIXELS
    if values.size == 0 or values.size % record:
        raise DataError(
            f"{path} is truncated: records have {record:,} bytes each. Received: {values.size:,} bytes, which is "
            f"{values.size // record:,} records and {values.size % record:,} bytes. Fetch it again."
        )
    rows = values.reshape(-1, record)
    planes = rows[:, label_bytes:].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), rows[:, label_bytes - 1]
