"""Pictures in folders: one folder for each class, within one folder for each split or without splits."""

from collections.abc import Iterator
from pathlib import Path

from neocog.dataset.class_files import FileKind, gather
from neocog.dataset.folders import size_bytes
from neocog.dataset.record import Modality, Record
from neocog.dataset.targets import Task
from neocog.modalities.image.folder import EXTENSIONS, read_picture

__all__ = ["PICTURES", "ImageFolder"]

PICTURES = FileKind(EXTENSIONS, "pictures", "*.png", "files that are no pictures")


class ImageFolder:
    """`train|val|test/CLASS/*.png` and so on, `fold1/CLASS/*.png`, or `CLASS/*.png` without splits.

    The classes are the folder names of all splits together, sorted, numbered once. A picture may lie deeper within its
    class's folder; its key is its path below the root. `groups` number the folds, or the folders above the classes', of
    which none is divided; (N,). Raises DataError where there is nothing to learn from, or where folders can be meant in
    two ways.
    """

    modality: Modality = "image"
    task: Task = "classification"
    format = "image-folder"

    def __init__(self, root: Path, *, class_level: int | None = None, test_fold: str | int | None = None) -> None:
        self.root, self.name = root, root.resolve().name
        files = gather(root, PICTURES, class_level=class_level, test_fold=test_fold)
        self.paths = list(files.paths)
        self.classes, self.targets, self.splits = files.classes, files.targets, files.splits
        self.notices, self.folders = files.notices, files.folders
        self.groups, self.group_kind, self.unlabelled = files.groups, files.group_kind, files.unlabelled

    def __len__(self) -> int:
        return len(self.paths)

    def key(self, index: int) -> str:
        return self.paths[index].relative_to(self.root).as_posix()

    def content(self) -> Iterator[bytes]:
        """File sizes: the files themselves may be many gigabytes."""
        return map(size_bytes, self.paths)

    def read(self, index: int) -> Record:
        return Record(self.key(index), read_picture(self.paths[index]), int(self.targets[index]))
