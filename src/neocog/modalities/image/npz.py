"""Images and labels in one NumPy .npz file."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.npy_files import read_npy
from neocog.dataset.record import unlabelled_samples
from neocog.dataset.targets import LABEL_TASKS, Targets, check_task, known_rows, number_targets, plain_targets
from neocog.errors import DataError
from neocog.modalities.image.arrays import ArraySource

__all__ = ["is_image_npz", "open_npz"]

SPLITS = {"all": ("x", "y"), **{split: (f"x_{split}", f"y_{split}") for split in ("train", "val", "test")}}


def is_image_npz(path: Path) -> bool:
    """Whether this is an .npz file; those of signals, which state their lengths, are told apart elsewhere."""
    return path.is_file() and path.suffix == ".npz"


def open_npz(path: Path, *, task: str | None = None) -> ArraySource:
    """Arrays `x` and `y`, or `x_train`, `y_train`, `x_val`, `y_val`, `x_test`, `y_test`; class names in `classes`.

    Labels are numbers of classes, or their names; numbers that are written as text are names too. Floats (N,) or (N, D)
    are numbers to predict, rows (N, K) of 0 and 1 several labels; `classes` names them, too.
    Raises DataError for a file that is not an .npz, lacks these names, or holds pickled objects: they are never loaded.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            pairs = {split: pair for split, pair in SPLITS.items() if set(pair) <= names}
            lone = {name for pair in SPLITS.values() for name in pair if name in names and not set(pair) <= names}
            if not pairs or lone:
                rule = "An .npz data set holds x and y, or x_train and y_train, and so on for val and test."
                raise DataError(rule, received=", ".join(sorted(names)) or "nothing", where=str(path))
            if "all" in pairs and len(pairs) > 1:
                raise DataError(f"{path} can be read in two ways: x and y, or by split.", fix="Remove one of them.")
            parts = {
                split: (read_array(archive, x), label_vector(read_array(archive, y))) for split, (x, y) in pairs.items()
            }
            classes = tuple(map(str, read_array(archive, "classes").ravel())) if "classes" in names else None
    except DataError:
        raise
    except Exception as error:  # archives and headers that are damaged raise anything: zlib.error, struct.error, ...
        raise DataError(f"{path} can't be read as .npz: {error}.") from error
    check_task(task, LABEL_TASKS, str(path))
    labels = {split: y for split, (_, y) in parts.items()}
    if task in (None, "classification") and all(y.dtype.kind in "iu" and y.ndim == 1 for y in labels.values()):
        found = Targets("classification", classes or (), labels)
    else:
        plain = {split: plain_targets(y, f"{path}, {split}") for split, y in labels.items()}
        found = number_targets(plain, classes, str(path), task)
    known = {split: known_rows(targets) for split, targets in found.by_split.items()}
    images = {
        split: (channels_last(x) if known[split].all() else channels_last(x)[known[split]], targets[known[split]])
        for split, (x, _) in parts.items()
        for targets in [found.by_split[split]]
    }
    source = ArraySource(path.stem, images, found.classes or None, format="npz", task=found.task)
    missing = (unlabelled_samples(split, int((~there).sum())) for split, there in known.items() if not there.all())
    source.notices = (*found.notices, *missing, *source.notices)
    return source


def read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """A member that is an array; an .npz may hold other files too."""
    with archive.open(f"{name}.npy") as file:
        return read_npy(file, Path(str(archive.filename)).stat().st_size)


def label_vector(values: NDArray[Any]) -> NDArray[Any]:
    """Labels as a vector, texts as str: Keras keeps CIFAR's labels as a column."""
    vector = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    return np.char.decode(vector, "utf-8") if vector.dtype.kind == "S" else vector


def channels_last(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, C, H, W) as (N, H, W, C), if only that reading makes sense."""
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        return np.moveaxis(images, 1, 3)
    return images
