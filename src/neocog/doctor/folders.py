"""Files in a data folder beside the records: ignored files, links, unreadable folders."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neocog.dataset.class_folders import ClassFolders, find_class_folders
from neocog.dataset.files import hidden, leads_back
from neocog.doctor import kinds
from neocog.doctor.finding import Tally
from neocog.doctor.images import file_kind
from neocog.errors import NeocogError
from neocog.modalities.image.image_folder import EXTENSIONS, ImageFolder, list_images

__all__ = ["examine_folder"]


def examine_folder(root: Path, layout: str | None, tally: Tally, folders: ClassFolders | None = None) -> None:
    """Go through a folder once, following no link. `layout` is the name of the format that it was recognised as.

    `folders` are those of its classes, where the set was opened.
    """
    places = class_places(root, folders) if layout == "image-folder" else None
    pictured: set[str] = set()
    for folder, entries in walk(root, tally):
        name = "" if folder == str(root) else os.path.relpath(folder, root).replace(os.sep, "/") + "/"
        place = places.class_folder(name) if places else ""
        for entry in entries:
            if hidden(entry.name):
                tally.add(kinds.CLUTTER, name + entry.name)
                continue
            if entry.is_symlink():
                examine_link(Path(entry.path), root, name + entry.name, tally)
            if places and examine_place(entry, name, tally, within=bool(place)):
                pictured.add(place)
    for folder in places.classes if places else ():
        if folder not in pictured and not list_images(root / folder):  # a link may lead to some
            tally.add(kinds.EMPTY_FOLDER, folder)


@dataclass(frozen=True, slots=True)
class Places:
    """Which folders of a folder of images are what; paths below the root."""

    classes: frozenset[str]
    """Those of the classes."""

    def class_folder(self, folder: str) -> str:
        """That of a class in which a folder lies, or which it is; else "". A folder ends with a slash."""
        parts = folder.split("/")[:-1]
        return next((path for k in range(len(parts), 0, -1) if (path := "/".join(parts[:k])) in self.classes), "")


def class_places(root: Path, folders: ClassFolders | None) -> Places | None:
    """None if the folder can't be read as images by class, which is said elsewhere."""
    try:
        found = folders or find_class_folders(root, ImageFolder.kind.holds)
    except (NeocogError, OSError):
        return None
    places = [place.path for inside in found.splits.values() for place in inside]
    return Places(frozenset(path.relative_to(root).as_posix() for path in places))


def walk(root: Path, tally: Tally) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Each folder and what is in it, but for what is in hidden folders and behind links."""
    left = [str(root)]
    while left:
        folder = left.pop()
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            tally.add(kinds.NO_ENTRY, os.path.relpath(folder, root), error.strerror or "")
            continue
        yield folder, entries
        left += [e.path for e in reversed(entries) if not hidden(e.name) and e.is_dir(follow_symlinks=False)]


def examine_link(path: Path, root: Path, name: str, tally: Tally) -> None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # a loop of links is an OSError or, before Python 3.13, a RuntimeError
        tally.add(kinds.LINK_BROKEN, name, f"to {path.readlink()}")
        return
    if leads_back(path):
        tally.add(kinds.LINK_LOOP, name, f"to {path.readlink()}")
    elif not target.is_relative_to(root.resolve()):
        tally.add(kinds.LINK_OUT, name, f"to {target}")


def examine_place(entry: os.DirEntry[str], folder: str, tally: Tally, *, within: bool) -> bool:
    """Whether an image is `within` the folder of a class, where it belongs; what else there is, is a finding."""
    named = os.path.splitext(entry.name)[1].lower() in EXTENSIONS  # noqa: PTH122, a Path for each file takes longer
    if not within:
        if named and entry.is_file():
            tally.add(kinds.STRAY_PICTURE, folder + entry.name)
        return False
    if named:
        return True
    if entry.is_file(follow_symlinks=False):
        kind = content_kind(entry.path)
        detail = f"it is {kind}" if kind else ""
        tally.add(kinds.MISNAMED if kind else kinds.STRANGER, folder + entry.name, detail)
    return False


def content_kind(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return file_kind(file.read(16))
    except OSError:
        return None
