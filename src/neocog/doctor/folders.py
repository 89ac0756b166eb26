"""Files in a data folder beside the records: ignored files, links, unreadable folders."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from neocog.dataset.class_folders import ClassFolders, find_class_folders
from neocog.dataset.files import hidden, leads_back
from neocog.doctor import kinds
from neocog.doctor.findings import Tally
from neocog.doctor.images import file_kind
from neocog.errors import NeocogError
from neocog.modalities.image.image_folder import EXTENSIONS, ImageFolder, list_images

__all__ = ["examine_folder"]


def examine_folder(root: Path, layout: str | None, tally: Tally, folders: ClassFolders | None = None) -> None:
    """Go through a folder once, following no link. `layout` is the name of the format that it was recognised as.

    `folders` are those of its classes, if the set was opened.
    """
    classes = class_places(root, folders) if layout == "image-folder" else None
    filled: set[str] = set()
    for folder, entries in walk(root, tally):
        name = "" if folder == str(root) else os.path.relpath(folder, root).replace(os.sep, "/") + "/"
        place = folder_of_class(name, classes or frozenset())
        for entry in entries:
            if hidden(entry.name):
                tally.add(kinds.CLUTTER, name + entry.name)
                continue
            if entry.is_symlink():
                examine_link(Path(entry.path), root, name + entry.name, tally)
            if classes is not None and examine_entry(entry, name, tally, within=bool(place)):
                filled.add(place)
    for folder in sorted((classes or frozenset()) - filled):
        if not list_images(root / folder):  # a link may lead to some
            tally.add(kinds.EMPTY_FOLDER, folder)


def class_places(root: Path, folders: ClassFolders | None) -> frozenset[str] | None:
    """The folders of the classes, below the root; None if it can't be read as images by class, a finding elsewhere."""
    try:
        found = folders or find_class_folders(root, ImageFolder.kind.holds)
    except (NeocogError, OSError):
        return None
    places = [place.path for inside in found.splits.values() for place in inside]
    return frozenset(path.relative_to(root).as_posix() for path in places)


def folder_of_class(folder: str, classes: frozenset[str]) -> str:
    """That of a class in which a folder lies, or which it is; else "". A folder ends with a slash."""
    parts = folder.split("/")[:-1]
    return next((path for k in range(len(parts), 0, -1) if (path := "/".join(parts[:k])) in classes), "")


def walk(root: Path, tally: Tally) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Each folder and its entries, except those of hidden folders and behind links."""
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


def examine_entry(entry: os.DirEntry[str], folder: str, tally: Tally, *, within: bool) -> bool:
    """Whether this is an image `within` the folder of a class, where it belongs; anything else is a finding."""
    named = os.path.splitext(entry.name)[1].lower() in EXTENSIONS  # noqa: PTH122, a Path for each file takes longer
    if not within:
        if named and entry.is_file():
            tally.add(kinds.STRAY_IMAGE, folder + entry.name)
        return False
    if named:
        return True
    if entry.is_file(follow_symlinks=False):
        kind = None
        with suppress(OSError), Path(entry.path).open("rb") as file:
            kind = file_kind(file.read(16))
        tally.add(kinds.MISNAMED if kind else kinds.STRANGER, folder + entry.name, f"it is {kind}" if kind else "")
    return False
