"""Image files below a folder, and images in a folder for each class, in folders for splits or without.

A `class_map.txt` beside the folders names the classes in their order. Source: the class maps of timm, a name on each
line; a number before or after each name is understood too.
"""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np

from neocog.dataset.class_files import ClassFolderSource, FileKind
from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.files import class_folders, is_kind, list_files, read_limited, walk
from neocog.dataset.record import LeftOut, absent_classes
from neocog.errors import DataError, some
from neocog.modalities.image.decode import promises_image

__all__ = [
    "EXTENSIONS", "ClassMap", "ImageFolder", "has_class_map", "has_image", "holds_images", "is_image", "list_images",
    "read_class_map",
]  # fmt: skip

EXTENSIONS = SUFFIXES["image"]
CLASS_MAP = "class_map.txt"
MAX_BYTES = 2**24
MAX_DIGITS = 10


class ImageFolder(ClassFolderSource):
    """Images at `train|val|test/CLASS/*.png` and so on; see `ClassFolderSource`."""

    format = "image-folder"
    kind = FileKind(EXTENSIONS, "images", "*.png")
    file_noun = "An image file"


def is_image(path: Path) -> bool:
    """Whether a file is named as an image."""
    return path.suffix.lower() in EXTENSIONS


def list_images(folder: Path, others: Counter[str] | None = None) -> list[Path]:
    """All images below a folder, sorted; other files are counted by suffix in `others`."""
    return list_files(folder, EXTENSIONS, others if others is not None else Counter())


def holds_images(root: Path) -> bool:
    """Whether a folder has folders in which, at any depth, there is an image."""
    return root.is_dir() and any(has_image(folder) for folder in class_folders(root))


def has_image(folder: Path) -> bool:
    """Whether there is an image at any depth; an .npy file is one if its header promises pixels, not a signal."""
    entries = (entry for entry in walk(folder, follow=False) if is_image(Path(entry.name)))
    paths = (Path(entry.path) for entry in entries if is_kind(entry.is_file))  # a pipe would never end
    return any(path.suffix.lower() != ".npy" or is_image_array(path) for path in paths)


def is_image_array(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return promises_image(file.read(4096))
    except OSError:
        return False


class ClassMap(ImageFolder):
    """An `ImageFolder` with the classes of its map, in the map's order; other folders are skipped.

    Raises DataError for a class of the map that has no folder, and for a map that can't be read.
    """

    format = "class-map"

    def __init__(self, root: Path, *, class_level: int | None = None, test_fold: str | int | None = None) -> None:
        super().__init__(root, class_level=class_level, test_fold=test_fold)
        folders, targets, splits = self.classes, self.targets, self.splits
        self.classes = read_class_map(root / CLASS_MAP, folders)
        number = {name: k for k, name in enumerate(self.classes)}
        renumbered = np.array([number.get(name, -1) for name in folders], np.int64)[targets]
        kept = np.flatnonzero(renumbered >= 0)
        self.paths, self.targets = [self.paths[i] for i in kept.tolist()], renumbered[kept]
        self.groups = None if self.groups is None else self.groups[kept]
        self.splits = {split: np.flatnonzero(np.isin(kept, indices)) for split, indices in splits.items()}
        about_folders = absent_classes(folders, {split: targets[i] for split, i in splits.items()})
        absent = absent_classes(self.classes, {split: self.targets[i] for split, i in self.splits.items()})
        self.notices = (*absent, *(notice for notice in self.notices if notice not in about_folders))
        counts = zip(folders, np.bincount(targets, minlength=len(folders)).tolist(), strict=True)
        if others := [f"{name} ({count:,})" for name, count in counts if name not in number]:
            sentence = f"folders that {CLASS_MAP} does not name were skipped, with their images: {some(others)}"
            self.notices += (LeftOut(sentence, len(targets) - len(kept)),)


def has_class_map(path: Path) -> bool:
    """Whether this is a folder of folders with images, and a class map."""
    return (path / CLASS_MAP).is_file() and holds_images(path)


def read_class_map(path: Path, folders: Collection[str]) -> tuple[str, ...]:
    """The classes of a map in their order: `name`, `number name` or `name number` on each line.

    A map that can be read in more ways than one is read as names of folders that are there.
    """
    lines, folders = map_lines(path), frozenset(folders)
    first = order_numbered([line.split(maxsplit=1) for line in lines], 0)
    last = order_numbered([line.rsplit(maxsplit=1) for line in lines], 1)
    readings = dict.fromkeys(names for names in (tuple(lines), first, last) if names)
    fitting = [names for names in readings if folders.issuperset(names)]
    if len(fitting) > 1:
        rule = f"{path} can be read in {len(fitting)} ways: as {' or '.join(map(some, fitting))}."
        raise DataError(rule, fix="Write the names alone, in their order.")
    if not fitting:
        names = list(readings)[-1]  # with numbers, if there are any
        missing = [name for name in names if name not in folders]
        rule, fix = "Each class of a map needs a folder of its own.", "Add the folders, or remove the lines."
        received = f"{len(missing):,} classes without one: {some(map(repr, missing))}"
        raise DataError(rule, received=received, where=str(path), fix=fix)
    return fitting[0]


def map_lines(path: Path) -> list[str]:
    """The lines that hold anything."""
    try:
        text = read_limited(path, MAX_BYTES, "A class map").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        rule, fix = "A class map must be UTF-8 text.", "Save it as UTF-8."
        raise DataError(rule, received=str(error), where=str(path), fix=fix) from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        rule, fix = "A class map has a class on each line.", "Write the names of the folders, one on each line."
        raise DataError(rule, received="no lines", where=str(path), fix=fix)
    line, times = Counter(lines).most_common(1)[0]
    if times > 1:
        rule, received = "A class map names each class once.", f"{line!r} {times} times"
        raise DataError(rule, received=received, where=str(path), fix="Keep one.")
    return lines


def order_numbered(pairs: list[list[str]], place: int) -> tuple[str, ...] | None:
    """The names in the order of the numbers beside them, which must be 0..K-1; None if they are anything else."""
    numbers = [pair[place] for pair in pairs if len(pair) == 2]
    if len(numbers) < len(pairs) or not all(n.isascii() and n.isdigit() and len(n) < MAX_DIGITS for n in numbers):
        return None
    names = dict(zip(map(int, numbers), (pair[1 - place] for pair in pairs), strict=True))
    unique = set(names) == set(range(len(pairs))) and len(set(names.values())) == len(pairs)
    return tuple(names[k] for k in range(len(pairs))) if unique else None
