"""Pictures in a folder for each class, with a `class_map.txt` that says which classes there are and in which order.

Source: the class maps of timm, a name on each line; a number before or after each name is understood too.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from neocog.dataset.folders import size_bytes
from neocog.dataset.record import LeftOut, Modality, Record, absent_classes
from neocog.dataset.targets import Task
from neocog.errors import DataError, some
from neocog.modalities.image.folder import holds_pictures
from neocog.modalities.image.image_folder import ImageFolder

__all__ = ["ClassMap", "has_class_map", "open_class_map", "read_class_map"]

FILE = "class_map.txt"
MAX_BYTES = 2**24
MAX_DIGITS = 10


class ClassMap:
    """An `ImageFolder` whose classes are those of its map, in the map's order; other folders are passed over.

    Raises DataError for a class of the map that has no folder, and for a map that can't be read.
    """

    modality: Modality = "image"
    task: Task = "classification"
    format = "class-map"

    def __init__(self, root: Path, *, class_level: int | None = None, test_fold: str | int | None = None) -> None:
        self.folder = ImageFolder(root, class_level=class_level, test_fold=test_fold)
        self.folders, self.group_kind = self.folder.folders, self.folder.group_kind
        self.unlabelled = self.folder.unlabelled
        self.root, self.name = root, self.folder.name
        folders = self.folder.classes
        self.classes = read_class_map(root / FILE, folders)
        number = {name: k for k, name in enumerate(self.classes)}
        renumbered = np.array([number.get(name, -1) for name in folders], np.int64)[self.folder.targets]
        self.kept = np.flatnonzero(renumbered >= 0)
        self.targets = renumbered[self.kept]
        self.groups = None if self.folder.groups is None else self.folder.groups[self.kept]
        self.splits = {
            split: np.flatnonzero(np.isin(self.kept, indices)) for split, indices in self.folder.splits.items()
        }
        self.notices = absent_classes(self.classes, {split: self.targets[i] for split, i in self.splits.items()})
        absent = {split: self.folder.targets[i] for split, i in self.folder.splits.items()}
        self.notices += tuple(n for n in self.folder.notices if n not in absent_classes(folders, absent))
        others = [name for name in folders if name not in number]
        if others:
            counts = np.bincount(self.folder.targets, minlength=len(folders))
            shown = some(f"{name} ({counts[k]:,})" for k, name in enumerate(folders) if name not in number)
            sentence = f"folders that {FILE} does not name were passed over, with their pictures: {shown}"
            self.notices += (LeftOut(sentence, len(self.folder) - len(self.kept)),)

    def __len__(self) -> int:
        return len(self.kept)

    def key(self, index: int) -> str:
        return self.folder.key(int(self.kept[index]))

    def content(self) -> Iterator[bytes]:
        """File sizes, as of an `ImageFolder`."""
        return (size_bytes(self.folder.paths[i]) for i in self.kept.tolist())

    def read(self, index: int) -> Record:
        record = self.folder.read(int(self.kept[index]))
        return Record(record.key, record.payload, int(self.targets[index]))


def has_class_map(path: Path) -> bool:
    """Whether this is a folder of folders with pictures, and a class map."""
    return (path / FILE).is_file() and holds_pictures(path)


def open_class_map(path: Path, *, class_level: int | None = None, test_fold: str | int | None = None) -> ClassMap:
    """The pictures of a folder in the classes of its map."""
    return ClassMap(path, class_level=class_level, test_fold=test_fold)


def read_class_map(path: Path, folders: Collection[str]) -> tuple[str, ...]:
    """The classes of a map in their order: `name`, `number name` or `name number` on each line.

    What can be read in more ways than one is read as names of folders that are there.
    """
    lines, folders = map_lines(path), frozenset(folders)
    first = numbered([line.split(maxsplit=1) for line in lines], 0)
    last = numbered([line.rsplit(maxsplit=1) for line in lines], 1)
    readings = dict.fromkeys(names for names in (tuple(lines), first, last) if names)
    fitting = [names for names in readings if folders.issuperset(names)]
    if len(fitting) > 1:
        raise DataError(
            f"{path} can be read in {len(fitting)} ways: as {' or '.join(f'{some(names)}' for names in fitting)}. "
            "Write the names alone, in their order."
        )
    if not fitting:
        names = list(readings)[-1]  # with numbers, where there are any
        missing = [name for name in names if name not in folders]
        raise DataError(
            f"Each class of a map has a folder of its own. {path} names {len(missing):,} classes without one: "
            f"{some(map(repr, missing))}. Add the folders, or remove the lines."
        )
    return fitting[0]


def map_lines(path: Path) -> list[str]:
    """The lines that hold anything."""
    if path.exists() and not path.is_file():  # a pipe would never end
        raise DataError(f"{path} is no plain file. Write one.")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"A class map is UTF-8 text. Received: {error}, in {path}. Save it as UTF-8.") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or len(content) > MAX_BYTES:
        raise DataError(
            f"A class map has a class on each line, and at most {MAX_BYTES:,} bytes. Received: {len(lines):,} lines, "
            f"in {path}. Write the names of the folders, one on each line."
        )
    line, times = Counter(lines).most_common(1)[0]
    if times > 1:
        raise DataError(f"A class map names each class once. Received: {line!r} {times} times, in {path}. Keep one.")
    return lines


def numbered(pairs: list[list[str]], place: int) -> tuple[str, ...] | None:
    """The names in the order of the numbers beside them, which must be 0..K-1; None where that is not what they are."""
    numbers = [pair[place] for pair in pairs if len(pair) == 2]
    if len(numbers) < len(pairs) or not all(n.isascii() and n.isdigit() and len(n) < MAX_DIGITS for n in numbers):
        return None
    names = dict(zip(map(int, numbers), (pair[1 - place] for pair in pairs), strict=True))
    if set(names) != set(range(len(pairs))) or len(set(names.values())) < len(pairs):
        return None
    return tuple(names[k] for k in range(len(pairs)))
