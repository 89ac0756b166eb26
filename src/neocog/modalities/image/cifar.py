"""CIFAR-10 and CIFAR-100 in their binary version: label bytes, then the 3,072 bytes of an image, plane by plane.

Source: Krizhevsky 2009; the page of the CIFAR data sets, "Binary version".
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.modalities.image.arrays import ArraySource

__all__ = ["is_cifar", "open_cifar"]

PIXELS = 3 * 32 * 32
MAX_NAMES = 2**20


class Layout(NamedTuple):
    """The files of one version; `label_bytes` precede each image, and the last of them is the class."""

    folder: str
    names: str
    label_bytes: int
    splits: dict[str, tuple[str, ...]]


BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
LAYOUTS = (
    Layout("cifar-10-batches-bin", "batches.meta.txt", 1, {"train": BATCHES, "test": ("test_batch.bin",)}),
    Layout("cifar-100-binary", "fine_label_names.txt", 2, {"train": ("train.bin",), "test": ("test.bin",)}),
)


def find_cifar(folder: Path) -> tuple[Path, Layout] | None:
    """The folder with the binary files: this one, or the published one within it."""
    places = ((place, layout) for layout in LAYOUTS for place in (folder, folder / layout.folder))
    return next(((place, layout) for place, layout in places if (place / layout.names).is_file()), None)


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
    names = folder / layout.names
    try:
        with names.open("rb") as file:
            classes = file.read(MAX_NAMES).decode().split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{names} names the classes, a word for each. It can't be read: {error}.") from error
    parts = {}
    for split, files in layout.splits.items():
        images, labels = zip(*(read_batch(folder / file, layout.label_bytes) for file in files), strict=True)
        parts[split] = np.concatenate(images), np.concatenate(labels)
    return ArraySource(path.name, parts, classes, format="cifar")


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
