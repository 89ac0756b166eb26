"""The pictures below a folder, found by the names that a list calls them by."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from neocog.dataset.folders import class_folders, hidden, leads_back
from neocog.errors import DataError
from neocog.modalities.image.folder import EXTENSIONS, is_picture

__all__ = ["ListedFiles", "is_listed", "relative_name"]


class ListedFiles:
    """The pictures below a root, by their paths relative to it. Links that lead out of the root are not followed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            self.keys = frozenset(picture_keys(root))
        except OSError as error:
            raise DataError(f"{error.filename} can't be read: {error.strerror}. Allow reading it.") from error

    @cached_property
    def stems(self) -> dict[str, list[str]]:
        """The pictures by their paths without extension."""
        found = defaultdict(list)
        for key in sorted(self.keys):
            found[key.rpartition(".")[0]].append(key)
        return found

    def holds(self, name: str) -> bool:
        return name in self.keys or name in self.stems

    def find(self, name: str, where: str) -> str | None:
        """The picture that a name means, with its extension or without. Raises DataError where two can be meant."""
        if name in self.keys:
            return name
        found = self.stems.get(name, [])
        if len(found) > 1:
            raise DataError(f"{name!r} can mean {' or '.join(found)}. Write it with its extension. Where: {where}.")
        return found[0] if found else None

    def base(self, table: Path, names: Sequence[str]) -> str:
        """The folder to which a table's names are relative: its own, the one called like it, or the one that fits."""
        home = table.parent.relative_to(self.root)
        folders = [folder.relative_to(self.root) for folder in class_folders(table.parent)]
        first = [home, *(folder for folder in folders if folder.name == table.stem)]
        for name in names:
            fits = [folder for folder in (*first, *folders) if self.holds((folder / name).as_posix())]
            if fits and fits[0] not in first and len(fits) > 1:
                raise DataError(
                    f"{table} can be read in {len(fits)} ways: {name!r} lies in {' and in '.join(map(str, fits))}. "
                    "Write the folder into each name."
                )
            if fits:
                return fits[0].as_posix()
        return home.as_posix()

    def why_missing(self, key: str) -> str:
        """What is wrong with a listed file that is none of the pictures."""
        path = self.root / key
        try:
            if path.exists() and not inside(path, self.root.resolve()):
                return "that lead out of its folder through a link"
            if path.exists():
                return f"that are no pictures ({', '.join(sorted(EXTENSIONS))})"
        except OSError:  # a name that is too long
            pass
        return "that are not there"


def is_listed(table: Path, value: object) -> bool:
    """Whether a value of a table names a picture: by its extension, or because such a picture lies there."""
    if is_picture(Path(str(value))):
        return True
    try:
        name = relative_name(value, str(table))
        folders = (table.parent, *class_folders(table.parent))
        return any((folder / (name + suffix)).is_file() for folder in folders for suffix in EXTENSIONS)
    except (DataError, OSError):
        return False


def relative_name(value: object, where: str) -> str:
    """A listed name as a path below the list's folder, with slashes. Raises DataError for one that can lead out of it.

    >>> relative_name("train\\\\cat/1.png", "labels.csv")
    'train/cat/1.png'
    """
    name = str(value).strip().replace("\\", "/") if isinstance(value, str | int) else ""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or name.startswith("/") or name[1:2] == ":":  # the last as in C:/
        raise DataError(
            f"A list names files below its own folder. Received: {str(value)[:200]!r}. Write paths relative to that "
            f"folder, without '..'. Where: {where}."
        )
    return "/".join(parts)


def picture_keys(root: Path) -> Iterator[str]:
    home = root.resolve()
    folders = [""]
    while folders:
        within = folders.pop()
        with os.scandir(root / within) as scan:
            entries = list(scan)  # read at once, so that nothing is left open where a caller has enough
        for entry in entries:
            # Only links are resolved, for that takes long.
            if hidden(entry.name) or (entry.is_symlink() and not inside(Path(entry.path), home)):
                continue
            if entry.is_dir():
                if not leads_back(Path(entry.path)):
                    folders.append(f"{within}{entry.name}/")
            elif entry.is_file() and "." + entry.name.rpartition(".")[2].lower() in EXTENSIONS:
                yield within + entry.name


def inside(path: Path, home: Path) -> bool:
    """Whether a path, with all its links followed, stays within a folder."""
    try:
        return path.resolve(strict=True).is_relative_to(home)
    except (OSError, RuntimeError):  # a link to nothing, or a loop of links
        return False
