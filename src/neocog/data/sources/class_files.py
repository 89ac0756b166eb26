"""Files of one kind in a folder for each class, with or without folders for splits."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.record import absent_classes
from neocog.data.sources.folder import class_folders, plain_files, split_folders, walk
from neocog.errors import DataError, some

__all__ = ["ClassFiles", "find_class_files", "first_file"]

LOOK = 10_000  # files that are looked at to recognise a layout


@dataclass(frozen=True, slots=True)
class ClassFiles:
    """The files of a data set, sorted within splits and classes, and what each is."""

    root: Path
    paths: tuple[Path, ...]
    classes: tuple[str, ...]
    targets: NDArray[np.int64]
    """(N,)."""
    splits: dict[str, NDArray[np.int64]]
    notices: tuple[str, ...] = ()

    def key(self, index: int) -> str:
        """A file's path below the root."""
        return self.paths[index].relative_to(self.root).as_posix()


def find_class_files(root: Path, suffixes: Collection[str], what: str) -> ClassFiles:
    """`train|val|test/CLASS/*` or `CLASS/*`, at any depth below the class. `what` is what users call these files.

    Raises DataError where there is none.
    """
    folders = split_folders(root)
    classes = sorted({folder.name for split in folders.values() for folder in class_folders(split)})
    index = {name: k for k, name in enumerate(classes)}
    paths: list[Path] = []
    numbers: list[int] = []
    splits = {}
    others: Counter[str] = Counter()
    loose: list[str] = []
    for split, folder in folders.items():
        start = len(paths)
        for class_folder in class_folders(folder):
            files = sorted(Path(entry.path) for entry in walk(class_folder))
            # A pipe that carries such a name would never end.
            found = [path for path in files if path.suffix.lower() in suffixes and path.is_file()]
            others.update(path.suffix.lower() for path in set(files) - set(found))
            paths += found
            numbers += [index[class_folder.name]] * len(found)
        splits[split] = np.arange(start, len(paths))
        loose += [path.name for path in plain_files(folder) if path.suffix.lower() in suffixes]
    if not paths:
        raise DataError(
            f"{root} holds no {what}. Put them at {root}/train/CLASS/* or {root}/CLASS/*; read are "
            f"{', '.join(sorted(suffixes))}."
        )
    targets = np.array(numbers, np.int64)
    notices = absent_classes(tuple(classes), {split: targets[part] for split, part in splits.items()})
    if loose:
        notices += (f"{what} beside the classes' folders were passed over: {some(loose)}",)
    if others:
        kinds = some(f"{count} {kind or 'without extension'}" for kind, count in others.most_common())
        notices += (f"other files than {what} were passed over: {kinds}",)
    return ClassFiles(root, tuple(paths), tuple(classes), targets, splits, notices)


def first_file(root: Path, suffixes: Collection[str]) -> Path | None:
    """A file of this kind within a folder's folders, if one is soon found."""
    if not root.is_dir():
        return None
    entries = islice(chain.from_iterable(map(walk, class_folders(root))), LOOK)
    # A path is made of few of them: this is asked of every folder, whatever it holds.
    files = (Path(entry.path) for entry in entries if entry.name.lower().endswith(tuple(suffixes)))
    return next((path for path in files if path.suffix.lower() in suffixes and path.is_file()), None)
