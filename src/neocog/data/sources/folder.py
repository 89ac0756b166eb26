"""Pictures in folders: one folder for each class, within one folder for each split or without splits."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

import numpy as np

from neocog.data.preprocess.npy import promises_picture
from neocog.data.record import Modality, Record, absent_classes
from neocog.data.targets import Task
from neocog.errors import DataError, some

__all__ = ["EXTENSIONS", "ImageFolder", "holds_pictures", "list_pictures", "read_picture", "size_bytes", "walk"]

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".webp", ".tif", ".tiff", ".npy"})
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
CLUTTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
MAX_BYTES = 2**30
MAX_LINKS = 10_000
"""Links to folders that are followed: links to folders of links can make few folders look like millions."""


class ImageFolder:
    """`train|val|valid|validation|test/CLASS/*.png` and so on, or `CLASS/*.png` without splits.

    The classes are the folder names of all splits together, sorted, numbered once. A picture may lie deeper within its
    class's folder; its key is its path below the root. Raises DataError where there is nothing to learn from.
    """

    modality: Modality = "image"
    task: Task = "classification"
    format = "image-folder"

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
        self.notices = absent_classes(self.classes, targets)
        loose = [path.name for folder in folders.values() for path in plain_files(folder) if is_picture(path)]
        if loose:
            self.notices += (f"pictures beside the classes' folders were passed over: {some(loose)}",)
        if strangers:
            kinds = some(f"{count} {kind or 'without extension'}" for kind, count in strangers.most_common())
            self.notices += (f"files that are no pictures were passed over: {kinds}",)
        self.targets = np.concatenate(list(targets.values()))

    def __len__(self) -> int:
        return len(self.paths)

    def key(self, index: int) -> str:
        return self.paths[index].relative_to(self.root).as_posix()

    def content(self) -> Iterator[bytes]:
        """File sizes: the files themselves may be many gigabytes."""
        return map(size_bytes, self.paths)

    def read(self, index: int) -> Record:
        return Record(self.key(index), read_picture(self.paths[index]), int(self.targets[index]))


def holds_pictures(root: Path) -> bool:
    """Whether a folder has folders in which, at any depth, there is a picture."""
    return root.is_dir() and any(has_picture(folder) for folder in class_folders(root))


def has_picture(folder: Path) -> bool:
    entries = (entry for entry in walk(folder, follow=False) if is_picture(Path(entry.name)))
    paths = (Path(entry.path) for entry in entries if is_kind(entry.is_file))  # a pipe would never end
    return any(path.suffix.lower() != ".npy" or is_picture_array(path) for path in paths)


def is_picture_array(path: Path) -> bool:
    """Whether an .npy file's header promises pixels, not a signal."""
    try:
        with path.open("rb") as file:
            return promises_picture(file.read(4096))
    except OSError:
        return False


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
    return sorted(path for path in folder.iterdir() if path.is_dir() and not hidden(path.name))


def list_pictures(folder: Path, strangers: Counter[str] | None = None) -> list[Path]:
    """All pictures below a folder, sorted; what else there is is counted by extension in `strangers`."""
    found = []
    for entry in walk(folder):
        path, plain = Path(entry.path), is_kind(entry.is_file)
        if plain and is_picture(path):
            found.append(path)
        elif strangers is not None:
            strangers[path.suffix.lower() if plain else "broken links or pipes"] += 1
    return sorted(found, key=attrgetter("parts"))  # the order of paths themselves, several times as fast


def walk(folder: Path, *, follow: bool = True) -> Iterator[os.DirEntry[str]]:
    """All below a folder, at any depth, that is no folder itself and that anyone means as data.

    With `follow`, links to folders are followed. Raises DataError for more than `MAX_LINKS` of them.
    """
    folders, links = [folder], 0
    while folders:
        for entry in listing(folders.pop()):
            if hidden(entry.name):
                continue
            if not is_kind(entry.is_dir):
                yield entry
            elif not entry.is_symlink():
                folders.append(Path(entry.path))
            elif follow and not leads_back(Path(entry.path)):
                folders.append(Path(entry.path))
                links += 1
            if links > MAX_LINKS:
                raise DataError(
                    f"At most {MAX_LINKS:,} links to folders are followed. {folder} has more, or they lead to each "
                    "other. Put the files themselves there."
                )


def listing(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted; nothing where that can't be told."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def is_kind(test: Callable[[], bool]) -> bool:
    """Whether an entry is what the test says; not if it is a link to itself."""
    try:
        return test()
    except OSError:
        return False


def read_picture(path: Path) -> bytes:
    """A picture's file. Raises DataError where it can't be read, or is larger than any picture."""
    try:
        size = path.stat().st_size
        if size <= MAX_BYTES:
            return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error
    raise DataError(f"A picture's file may have at most {MAX_BYTES:,} bytes. {path} has {size:,}. Shrink it.")


def size_bytes(path: Path) -> bytes:
    """A file's size, for a fingerprint. Raises DataError where there is none any more."""
    try:
        return path.stat().st_size.to_bytes(8, "little")
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error


def plain_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not hidden(path.name))


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS


def hidden(name: str) -> bool:
    """What programs leave in folders, and nobody means as data."""
    return name.startswith(".") or name.lower() in CLUTTER


def leads_back(path: Path) -> bool:
    """Whether a folder is a link to one that holds it, or that was gone through on the way to it."""
    return path.is_symlink() and path.resolve() in {folder.resolve() for folder in path.absolute().parents}
