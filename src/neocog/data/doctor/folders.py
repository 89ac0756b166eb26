"""What lies in a data folder beside the records: files that are passed over, links, what can't be listed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neocog.data.doctor import kinds
from neocog.data.doctor.finding import Tally
from neocog.data.doctor.pictures import file_kind
from neocog.data.sources.folder import EXTENSIONS, hidden, leads_back, list_pictures, split_folders
from neocog.errors import DataError

__all__ = ["examine_folder"]


def examine_folder(root: Path, layout: str | None, tally: Tally) -> None:
    """Go through a folder once, following no link. `layout` is the name of the format that it was recognised as."""
    places = class_places(root) if layout == "image-folder" else None
    pictured: set[str] = set()
    for folder, entries in walk(root, tally):
        name = "" if folder == str(root) else os.path.relpath(folder, root).replace(os.sep, "/") + "/"
        for entry in entries:
            if hidden(entry.name):
                tally.add(kinds.CLUTTER, name + entry.name)
                continue
            if entry.is_symlink():
                examine_link(Path(entry.path), root, name + entry.name, tally)
            if places:
                examine_place(entry, name, places, pictured, tally)
    for folder in places.classes if places else ():
        if folder not in pictured and not list_pictures(root / folder):  # a link may lead to some
            tally.add(kinds.EMPTY_FOLDER, folder)


@dataclass(frozen=True, slots=True)
class Places:
    """Which folders of a folder of pictures are what; paths below the root."""

    splits: frozenset[str]
    """Those in which classes have their folders, each with a slash at its end; with the root itself, as ""."""
    classes: tuple[str, ...]


def class_places(root: Path) -> Places | None:
    """None where the folder can't be read as pictures by class, which is said elsewhere."""
    try:
        splits = split_folders(root).values()
        folders = [path for split in splits for path in sorted(split.iterdir()) if path.is_dir()]
    except (DataError, OSError):
        return None
    names = {"" if split == root else f"{split.name}/" for split in splits}
    classes = tuple(path.relative_to(root).as_posix() for path in folders if not hidden(path.name))
    return Places(frozenset({"", *names}), classes)


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


def examine_place(entry: os.DirEntry[str], folder: str, places: Places, pictured: set[str], tally: Tally) -> None:
    """Whether a file is where its kind belongs; the class folders that hold a picture are put into `pictured`."""
    named = os.path.splitext(entry.name)[1].lower() in EXTENSIONS  # noqa: PTH122, a Path for each file takes longer
    if folder in places.splits:
        if named and entry.is_file():
            tally.add(kinds.STRAY_PICTURE, folder + entry.name)
    elif named:
        split = next((split for split in places.splits if split and folder.startswith(split)), "")
        pictured.add(split + folder.removeprefix(split).split("/", 1)[0])
    elif entry.is_file(follow_symlinks=False):
        kind = content_kind(entry.path)
        detail = f"it is {kind}" if kind else ""
        tally.add(kinds.MISNAMED if kind else kinds.STRANGER, folder + entry.name, detail)


def content_kind(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return file_kind(file.read(16))
    except OSError:
        return None
