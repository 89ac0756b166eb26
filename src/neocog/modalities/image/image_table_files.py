"""The files of a kind below a folder, found by the names that a table calls them by."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from neocog.dataset.files import class_folders, hidden, is_kind, leads_back, suffix_of
from neocog.errors import DataError, some
from neocog.modalities.image.image_folder import EXTENSIONS

__all__ = ["IMAGES", "FileKind", "ListedFiles", "relative_name"]


@dataclass(frozen=True, slots=True)
class FileKind:
    """The files that a table may name: their suffixes, and their name among users, in the plural."""

    suffixes: frozenset[str]
    noun: str

    def matches(self, name: str) -> bool:
        return suffix_of(name.strip()) in self.suffixes

    def names_file(self, table: Path, value: object) -> bool:
        """Whether a value of a table names such a file: by its extension, or because such a file lies there."""
        if self.matches(str(value)):
            return True
        try:
            name = relative_name(value, str(table))
            folders = (table.parent, *class_folders(table.parent))
            return any((folder / (name + suffix)).is_file() for folder in folders for suffix in self.suffixes)
        except (DataError, OSError):
            return False


IMAGES = FileKind(frozenset(EXTENSIONS), "images")


class ListedFiles:
    """The files of a kind below a root, by their paths relative to it. Links that lead out of it are not followed."""

    def __init__(self, root: Path, kind: FileKind = IMAGES) -> None:
        self.root, self.kind = root, kind
        try:
            self.keys = frozenset(file_keys(root, kind))
        except OSError as error:
            raise DataError(f"{error.filename} can't be read: {error.strerror}.", fix="Allow reading it.") from error

    @cached_property
    def stems(self) -> dict[str, list[str]]:
        """The files by their paths without extension."""
        found = defaultdict(list)
        for key in sorted(self.keys):
            found[key.rpartition(".")[0]].append(key)
        return found

    def find(self, name: str, where: str) -> str | None:
        """The file that a name means, with its extension or without. Raises DataError if two can be meant."""
        if name in self.keys:
            return name
        found = self.stems.get(name, [])
        if len(found) > 1:
            fix = "Write it with its extension."
            raise DataError(f"{name!r} can mean {' or '.join(found)}.", where=where, fix=fix)
        return found[0] if found else None

    def find_all(self, table: Path, names: Sequence[str], lines: Sequence[int]) -> list[str]:
        """The key of each file that a table names."""
        base = self.base(table, names)
        keys: list[str] = []
        missing: dict[str, list[str]] = {}
        for name, line in zip(names, lines, strict=True):
            path = name if base == "." else f"{base}/{name}"
            key = self.find(path, f"{table}, line {line}")
            if key is None:
                missing.setdefault(self.why_missing(path), []).append(f"{name!r} in line {line}")
            else:
                keys.append(key)
        for why, which in missing.items():
            rule = f"{table} lists {len(which):,} files {why}: {some(which)}. Looked in {self.root / base}."
            raise DataError(rule, fix="Put them there, or remove these rows.")
        return keys

    def base(self, table: Path, names: Sequence[str]) -> str:
        """The folder to which a table's names are relative: its own, the one called like it, or the one that fits."""
        home = table.parent.relative_to(self.root)
        folders = [folder.relative_to(self.root) for folder in class_folders(table.parent)]
        first = [home, *(folder for folder in folders if folder.name == table.stem)]
        for name in names:
            paths = [(folder, (folder / name).as_posix()) for folder in (*first, *folders)]
            fits = [folder for folder, path in paths if path in self.keys or path in self.stems]
            if fits and fits[0] not in first and len(fits) > 1:
                rule = f"{table} can be read in {len(fits)} ways: {name!r} lies in {' and in '.join(map(str, fits))}."
                raise DataError(rule, fix="Write the folder into each name.")
            if fits:
                return fits[0].as_posix()
        return home.as_posix()

    def why_missing(self, key: str) -> str:
        """The fault of a listed file that is not among those of the kind."""
        path = self.root / key
        if not is_kind(path.exists):  # or its name is too long
            return "that are not there"
        if not stays_inside(path, self.root.resolve()):
            return "that lead out of its folder through a link"
        return f"that are not {self.kind.noun} ({', '.join(sorted(self.kind.suffixes))})"


def relative_name(value: object, where: str) -> str:
    """A listed name as a path below the table's folder, with slashes. Raises DataError for one that can lead out of it.

    >>> relative_name("train\\\\cat/1.png", "labels.csv")
    'train/cat/1.png'
    """
    name = str(value).strip().replace("\\", "/") if isinstance(value, str | int) else ""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or name.startswith("/") or name[1:2] == ":":  # the last as in C:/
        rule = "A list names files below its own folder."
        received = repr(str(value)[:200])
        raise DataError(rule, received=received, where=where, fix="Write paths relative to that folder, without '..'.")
    return "/".join(parts)


def file_keys(root: Path, kind: FileKind) -> Iterator[str]:
    home = root.resolve()
    folders = [""]
    while folders:
        within = folders.pop()
        with os.scandir(root / within) as scan:
            entries = list(scan)  # read at once, so that the folder is closed even if a caller stops early
        for entry in entries:
            # Only links are resolved, which is slow.
            if hidden(entry.name) or (entry.is_symlink() and not stays_inside(Path(entry.path), home)):
                continue
            if entry.is_dir():
                if not leads_back(Path(entry.path)):
                    folders.append(f"{within}{entry.name}/")
            elif entry.is_file() and suffix_of(entry.name) in kind.suffixes:
                yield within + entry.name


def stays_inside(path: Path, home: Path) -> bool:
    """Whether a path, with all its links followed, stays within a folder."""
    try:
        return path.resolve(strict=True).is_relative_to(home)
    except (OSError, RuntimeError):  # a link to nothing, or a loop of links
        return False
