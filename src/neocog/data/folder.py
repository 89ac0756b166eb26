"""Pictures in folders: one folder for each class, within one folder for each split or without splits."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from neocog.data.record import Record, check_classes
from neocog.errors import DataError, some

__all__ = ["EXTENSIONS", "ImageFolder", "list_pictures"]

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
CLUTTER = frozenset({"thumbs.db", "desktop.ini"})


class ImageFolder:
    """`train|val|valid|validation|test/CLASS/*.png` and so on, or `CLASS/*.png` without splits.

    The classes are the folder names of all splits together, sorted, numbered once. A picture may lie deeper within its
    class's folder; its key is its path below the root. Raises DataError where there is nothing to learn from.
    """

    modality = "image"

    def __init__(self, root: Path) -> None:
        self.root, self.name = root, root.resolve().name
        folders = split_folders(root)
        classes = sorted({folder.name for split in folders.values() for folder in class_folders(split)})
        index = {name: k for k, name in enumerate(classes)}
        self.paths: list[Path] = []
        self.splits, targets = {}, {}
        strangers: Counter[str] = Counter()
        for split, folder in folders.items():
            start = len(self.paths)
            found: list[int] = []
            for class_folder in class_folders(folder):
                pictures = list_pictures(class_folder, strangers)
                self.paths += pictures
                found += [index[class_folder.name]] * len(pictures)
            self.splits[split] = np.arange(start, len(self.paths))
            targets[split] = np.array(found, np.int64)
        if not self.paths:
            raise DataError(
                f"{root} holds no pictures. Put them at {root}/train/CLASS/*.png or {root}/CLASS/*.png; "
                f"read are {', '.join(sorted(EXTENSIONS))}."
            )
        self.classes = tuple(classes)
        self.notices = check_classes(self.name, self.classes, targets)
        if strangers:
            kinds = some(f"{count} {kind or 'without extension'}" for kind, count in strangers.most_common())
            self.notices += (f"files that are no pictures were passed over: {kinds}",)
        self.targets = np.concatenate(list(targets.values()))

    def __len__(self) -> int:
        return len(self.paths)

    def key(self, index: int) -> str:
        return self.paths[index].relative_to(self.root).as_posix()

    def read(self, index: int) -> Record:
        try:
            payload = self.paths[index].read_bytes()
        except OSError as error:
            raise DataError(f"{self.paths[index]} can't be read: {error.strerror}.") from error
        return Record(self.key(index), payload, int(self.targets[index]))


def split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split, or {"all": root} where the root's folders are classes."""
    found: dict[str, Path] = {}
    for folder in class_folders(root):
        split = SPLIT_NAMES.get(folder.name.lower())
        if split in found:
            raise DataError(f"{root} can be read in two ways: {found[split].name} and {folder.name} both mean {split}.")
        if split:
            found[split] = folder
    others = [folder.name for folder in class_folders(root) if folder not in found.values()]
    if not found:
        return {"all": root}
    if "train" not in found and others:
        return {"all": root}  # classes that merely carry a split's name, such as "test"
    if others:
        raise DataError(
            f"{root} can be read in two ways: as splits ({', '.join(found)}) or as classes, for it also has "
            f"{some(others)}. Move the one or the other."
        )
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def class_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def list_pictures(folder: Path, strangers: Counter[str] | None = None) -> list[Path]:
    """All pictures below a folder, sorted; other files are counted by extension in `strangers`."""
    found = []
    for path in files_below(folder):
        if path.suffix.lower() in EXTENSIONS:
            found.append(path)
        elif strangers is not None and path.name.lower() not in CLUTTER:
            strangers[path.suffix.lower()] += 1
    return found


def files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path
