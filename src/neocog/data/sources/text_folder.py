"""Texts in folders: one folder of .txt files for each class, within one folder for each split or without splits."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from neocog.data.preprocess.tokens import text_of
from neocog.data.record import Modality, Record, absent_classes
from neocog.data.sources.files import files_below, read_limited
from neocog.data.sources.folder import SPLIT_NAMES, class_folders, size_bytes, split_folders, walk
from neocog.data.targets import Task
from neocog.errors import DataError, some

__all__ = ["TextFolder", "holds_texts", "open_text_folder"]

SUFFIX = ".txt"
UNLABELLED = frozenset({"unsup", "unlabeled", "unlabelled"})
"""Folders without a class, as the film reviews of aclImdb have one."""
MAX_BYTES = 16 * 2**20
ENTRIES = 50  # of a folder that are looked at to recognise it


class TextFolder:
    """`train|val|valid|validation|test/CLASS/*.txt`, or `CLASS/*.txt` without splits; UTF-8.

    The classes are the folder names of all splits together, sorted. A text may lie deeper within its class's folder;
    its key is its path below the root. Raises DataError where there is no text.
    """

    modality: Modality = "text"
    task: Task = "classification"
    format = "text-folder"

    def __init__(self, root: Path) -> None:
        self.root, self.name = root, root.resolve().name
        folders = split_folders(root)
        self.classes = tuple(sorted({place.name for folder in folders.values() for place in labelled(folder)}))
        index = {name: k for k, name in enumerate(self.classes)}
        self.paths: list[Path] = []
        self.splits, targets = {}, {}
        outside: list[str] = []
        for split, folder in folders.items():
            start, found = len(self.paths), list[int]()
            for place in labelled(folder):
                paths, links = files_below(place, SUFFIX)
                self.paths += paths
                outside += links
                found += [index[place.name]] * len(paths)
            self.splits[split] = np.arange(start, len(self.paths))
            targets[split] = np.array(found, np.int64)
        if not self.paths:
            raise DataError(f"{root} holds no texts. Put them at {root}/train/CLASS/*.txt or {root}/CLASS/*.txt.")
        self.targets = np.concatenate(list(targets.values()))
        self.notices = absent_classes(self.classes, targets)
        if passed := [place.name for folder in folders.values() for place in unlabelled(folder)]:
            self.notices += (f"folders of texts without a class were passed over: {some(passed)}",)
        if outside:
            self.notices += (f"links that lead out of their folder were passed over: {some(outside)}",)

    def __len__(self) -> int:
        return len(self.paths)

    def key(self, index: int) -> str:
        return self.paths[index].relative_to(self.root).as_posix()

    def content(self) -> Iterator[bytes]:
        """File sizes: there may be very many files."""
        return map(size_bytes, self.paths)

    def read(self, index: int) -> Record:
        """One text. Raises DataError that names the file and the offset where it is no UTF-8."""
        path = self.paths[index]
        text = text_of(read_limited(path, MAX_BYTES), str(path))
        return Record(self.key(index), text, int(self.targets[index]))


def open_text_folder(path: Path) -> TextFolder:
    """The source that a folder of texts makes."""
    return TextFolder(path)


def labelled(folder: Path) -> list[Path]:
    """The folders of the classes."""
    return [place for place in class_folders(folder) if place.name.lower() not in UNLABELLED]


def unlabelled(folder: Path) -> list[Path]:
    return [place for place in class_folders(folder) if place.name.lower() in UNLABELLED]


def holds_texts(root: Path) -> bool:
    """Whether a folder has at least two folders with .txt files and nothing else, directly or within its splits."""
    try:
        if not root.is_dir():
            return False
        splits = [place for place in class_folders(root) if place.name.lower() in SPLIT_NAMES]
        train = [place for place in splits if SPLIT_NAMES[place.name.lower()] == "train"]
        places = labelled(train[0] if train else root)
        return len(places) >= 2 and all(map(has_only_texts, places))
    except OSError:
        return False


def has_only_texts(folder: Path) -> bool:
    """Whether the first files below a folder are .txt files, and there is one at all."""
    first = list(itertools.islice(walk(folder, follow=False), ENTRIES))
    return bool(first) and all(entry.name.lower().endswith(SUFFIX) for entry in first)
