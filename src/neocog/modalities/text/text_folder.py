"""Texts in a folder of .txt files for each class, in folders for splits or without."""

import itertools
from pathlib import Path

from neocog.dataset.class_files import ClassFolderSource, FileKind
from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.files import class_folders, plain_files, walk
from neocog.dataset.split_names import splits_meant
from neocog.dataset.tables import is_table
from neocog.modalities.text.tokens import text_of

__all__ = ["TextFolder", "holds_texts"]

UNLABELLED = frozenset({"unsup", "unlabeled", "unlabelled"})
"""Folders without a class, such as that of the film reviews of aclImdb."""
MAX_BYTES = 16 * 2**20
ENTRIES = 50  # of a folder that are looked at to recognise it


class TextFolder(ClassFolderSource):
    """UTF-8 texts at `train|val|test/CLASS/*.txt` and so on; see `ClassFolderSource`."""

    modality, format = "text", "text-folder"
    kind = FileKind(SUFFIXES["text"], "texts", "*.txt", follow=False, no_class=UNLABELLED)
    max_bytes, file_noun = MAX_BYTES, "A text file"

    def payload(self, index: int) -> str:
        """One text. Raises DataError that names the file and the offset if it is not UTF-8."""
        return text_of(self.file_bytes(index), str(self.paths[index]))


def holds_texts(root: Path) -> bool:
    """Whether a folder has at least two folders with .txt files and nothing else, directly or within its splits."""
    try:
        if not root.is_dir():
            return False
        folders = class_folders(root)
        meant = splits_meant([folder.name for folder in folders])
        train = [folder for folder in folders if meant.get(folder.name) == "train"]
        if train and not class_folders(train[0]):  # texts without a known class, unless a table beside them tells it
            return not any(map(is_table, plain_files(root))) and all(map(has_only_texts, train))
        places = labelled_folders(train[0] if train else root)
        if train and len(places) == 1:  # train/train/CLASS
            places = labelled_folders(places[0])
        return len(places) >= 2 and all(map(has_only_texts, places))
    except OSError:
        return False


def labelled_folders(folder: Path) -> list[Path]:
    return [inner for inner in class_folders(folder) if inner.name.lower() not in UNLABELLED]


def has_only_texts(folder: Path) -> bool:
    """Whether the first files below a folder are .txt files, and there is one at all."""
    first = list(itertools.islice(walk(folder, follow=False), ENTRIES))
    return bool(first) and all(entry.name.lower().endswith(tuple(SUFFIXES["text"])) for entry in first)
