"""CIFAR-10 and CIFAR-100 in their binary version: label bytes, then the 3,072 bytes of an image, plane by plane.

Source: Krizhevsky 2009; the page of the CIFAR data sets, "Binary version".
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.modalities.image.arrays import ArraySource

__all__ = ["is_cifar", "open_cifar"]

PIXELS = 3 * 32 * 32
MAX_NAMES = 2**20


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one version; `label_bytes` precede each image, and the last of them is the class."""

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
    """The folder with the binary files: this one, or the published one within it."""
    for layout in LAYOUTS:
        for place in (folder, folder / layout.folder):
            if (place / layout.names).is_file():
                return place, layout
    return None


def is_cifar(path: Path) -> bool:
    """Whether this is a folder with CIFAR's binary files."""
    return path.is_dir() and find_cifar(path) is not None


def open_cifar(path: Path) -> ArraySource:
    """The source that a folder's files make. Raises DataError if one is missing or truncated."""
    found = find_cifar(path) if path.is_dir() else None
    if not found:
        rule = "CIFAR's binary files are data_batch_1.bin and the like beside batches.meta.txt."
        raise DataError(f"{rule} {path} holds none.", fix="Check the path, or leave out --data.format.")
    folder, layout = found
    classes = class_names(folder / layout.names)
    parts = {}
    for split, files in layout.splits.items():
        batches = [read_batch(folder / file, layout.label_bytes) for file in files]
        images = np.concatenate([pixels for pixels, _ in batches])
        parts[split] = (images, np.concatenate([labels for _, labels in batches]))
    return ArraySource(path.name, parts, classes, format="cifar")


def class_names(path: Path) -> list[str]:
    """The words of a file. Raises DataError if it is not text."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_NAMES).decode().split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} names the classes, a word for each. It can't be read: {error}.") from error


def read_batch(path: Path, label_bytes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (N, 32, 32, 3) and labels (N,)."""
    if not path.is_file():
        raise DataError(f"CIFAR's binary version has a file {path.name}. It is missing in {path.parent}.")
    values = np.fromfile(path, np.uint8)
    record = label_bytes + PIXELS
    if values.size == 0 or values.size % record:
        rule = f"{path} is truncated: records have {record:,} bytes each."
        received = f"{values.size:,} bytes: {values.size // record:,} records and {values.size % record:,} bytes"
        raise DataError(rule, received=received, fix="Fetch it again.")
    rows = values.reshape(-1, record)
    planes = rows[:, label_bytes:].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), rows[:, label_bytes - 1]
