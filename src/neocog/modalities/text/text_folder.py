"""Texts in folders: one folder of .txt files for each class, within one folder for each split or without splits."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from neocog.dataset.class_files import FileKind, gather
from neocog.dataset.files import read_limited
from neocog.dataset.folders import class_folders, plain_files, size_bytes, walk
from neocog.dataset.record import Modality, Record
from neocog.dataset.split_names import splits_meant
from neocog.dataset.tables import is_table
from neocog.dataset.targets import Task
from neocog.modalities.text.tokens import text_of

__all__ = ["TextFolder", "holds_texts", "open_text_folder"]

SUFFIX = ".txt"
UNLABELLED = frozenset({"unsup", "unlabeled", "unlabelled"})
"""Folders without a class, as the film reviews of aclImdb have one."""
TEXTS = FileKind(frozenset({SUFFIX}), "texts", "*.txt", follow=False, no_class=UNLABELLED)
MAX_BYTES = 16 * 2**20
ENTRIES = 50  # of a folder that are looked at to recognise it


class TextFolder:
    """`train|val|test/CLASS/*.txt`, `fold1/CLASS/*.txt`, or `CLASS/*.txt` without splits; UTF-8.

    The classes are the folder names of all splits together, sorted. A text may lie deeper within its class's folder;
    its key is its path below the root. `groups` number the folds, or the folders above the classes', of which none is
    divided; (N,). Raises DataError where there is no text, or where folders can be meant in two ways.
    """

    modality: Modality = "text"
    task: Task = "classification"
    format = "text-folder"

    def __init__(self, root: Path, *, class_level: int | None = None, test_fold: str | int | None = None) -> None:
        self.root, self.name = root, root.resolve().name
        files = gather(root, TEXTS, class_level=class_level, test_fold=test_fold)
        self.paths, self.classes, self.targets, self.splits = files.paths, files.classes, files.targets, files.splits
        self.notices, self.folders = files.notices, files.folders
        self.groups, self.group_kind, self.unlabelled = files.groups, files.group_kind, files.unlabelled

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


def open_text_folder(path: Path, *, class_level: int | None = None, test_fold: str | int | None = None) -> TextFolder:
    """The source that a folder of texts makes."""
    return TextFolder(path, class_level=class_level, test_fold=test_fold)


def holds_texts(root: Path) -> bool:
    """Whether a folder has at least two folders with .txt files and nothing else, directly or within its splits."""
    try:
        if not root.is_dir():
            return False
        folders = class_folders(root)
        meant = splits_meant([folder.name for folder in folders])
        train = [folder for folder in folders if meant.get(folder.name) == "train"]
        if train and not class_folders(train[0]):  # texts of no known class, unless a table beside them tells it
            return not any(map(is_table, plain_files(root))) and all(map(has_only_texts, train))
        places = [folder for folder in class_folders(train[0] if train else root) if not without_class(folder)]
        if train and len(places) == 1:  # train/train/CLASS
            places = [folder for folder in class_folders(places[0]) if not without_class(folder)]
        return len(places) >= 2 and all(map(has_only_texts, places))
    except OSError:
        return False


def without_class(folder: Path) -> bool:
    return folder.name.lower() in UNLABELLED


def has_only_texts(folder: Path) -> bool:
    """Whether the first files below a folder are .txt files, and there is one at all."""
    first = list(itertools.islice(walk(folder, follow=False), ENTRIES))
    return bool(first) and all(entry.name.lower().endswith(SUFFIX) for entry in first)
