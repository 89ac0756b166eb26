"""One reader of files in a folder for each class, with or without folders for splits; a kind of data declares itself.

Source: the idea of a declaration on one base that carries the checks is `folder_based_builder` of Hugging Face's
datasets.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.class_folders import LEAST_GROUPS, ClassFolders, check_depth, find_class_folders, within_classes
from neocog.dataset.files import class_folders, list_files, plain_files, suffix_of, walk
from neocog.dataset.labels import numbers_of
from neocog.dataset.list_source import FileSource
from neocog.dataset.record import LeftOut, absent_classes, unlabelled_split
from neocog.errors import DataError, some

__all__ = ["ClassFolderSource", "FileKind", "first_file"]

LOOK = 10_000  # files that are looked at to recognise a layout


@dataclass(frozen=True, slots=True)
class FileKind:
    """The files that a layout reads."""

    suffixes: frozenset[str]
    noun: str
    """Their name among users, in the plural."""
    example: str = "*"
    """The files of a class, in a path such as train/CLASS/*.png."""
    follow: bool = True
    """Whether links to folders, and to files elsewhere, are followed."""
    no_class: frozenset[str] = frozenset()
    """Names, in small letters, of folders whose files have no class."""

    def matches(self, name: str) -> bool:
        return suffix_of(name) in self.suffixes

    def holds(self, folder: Path) -> bool:
        """Whether there is such a file at any depth."""
        return any(self.matches(entry.name) for entry in walk(folder, follow=self.follow))

    def names_in(self, folder: Path) -> list[str]:
        """The names of all such files at any depth."""
        return sorted(entry.name for entry in walk(folder, follow=self.follow) if self.matches(entry.name))


class ClassFolderSource(FileSource):
    """`train|val|test/CLASS/*`, `fold1/CLASS/*`, or `CLASS/*` without splits. A subclass declares its `kind` of files.

    The classes are the folder names of all splits together, sorted; see `find_class_folders`. A file may lie deeper
    within its class's folder; its key is its path below the root. `groups` number the folds, or the folders above the
    classes', of which none is divided; (N,). Raises DataError if there are no such files, or if folders can be read in
    two ways.
    """

    kind: ClassVar[FileKind]

    def __init__(self, root: Path, *, class_level: int | None = None, test_fold: str | int | None = None) -> None:
        kind, path = self.kind, str(root)
        if not root.is_dir():
            rule = f"Each class of {kind.noun} needs a folder."
            raise DataError(rule, received="a file", where=path, fix="Give the folder above the class folders.")
        folders = find_class_folders(root, kind.holds, level=class_level, test_fold=test_fold, no_class=kind.no_class)
        found = find_files(folders, kind)
        inner = {name: paths for name, all_ in found.inner.items() if (paths := list(filter(kind.holds, all_)))}
        if inner and not found.direct and (divided := within_classes(folders, inner)):
            folders, found, inner = divided, find_files(divided, kind), {}
        if not found.paths:
            rule = f"{path} holds no {kind.noun}. Suffixes that are read: {', '.join(sorted(kind.suffixes))}."
            raise DataError(rule, fix=f"Put them at {path}/train/CLASS/{kind.example} or {path}/CLASS/{kind.example}.")
        if not found.direct:
            inner = {name: found.deeper.get(name) or paths for name, paths in inner.items()}
        classes, targets = folders.classes, np.array(found.numbers, np.int64)
        self.groups, about_groups = number_groups(folders, found.groups)
        notices = absent_classes(classes, {split: targets[part] for split, part in found.splits.items()})
        notices += folders.notices + about_groups + check_depth(folders, inner, direct=found.direct)
        notices += skipped_notices(folders, found, kind)
        super().__init__(root, found.paths, targets, found.splits, classes, notices)
        self.folders, self.unlabelled = folders, tuple(folders.unlabelled)
        self.group_kind = "folds" if folders.folds else "folders"


@dataclass(slots=True)
class FoundFiles:
    """The files of all classes, as they are found."""

    paths: list[Path] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    splits: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    inner: dict[str, list[Path]] = field(default_factory=dict)
    """The folders directly within those of a class, by its name."""
    deeper: dict[str, list[Path]] = field(default_factory=dict)
    """The folders within the only one in that of a class, by its name."""
    direct: bool = False
    """Whether a file lies directly in the folder of a class."""
    links: list[str] = field(default_factory=list)
    """Of files that are not followed."""


def find_files(folders: ClassFolders, kind: FileKind) -> FoundFiles:
    """All files of the classes, sorted within each of their folders."""
    found, number = FoundFiles(), {name: k for k, name in enumerate(folders.classes)}
    for split, places in folders.splits.items():
        start = len(found.paths)
        for place in places:
            inner: list[Path] = []
            links: list[Path] = []
            paths = list_files(place.path, kind.suffixes, found.others, inner, None if kind.follow else links)
            for link in sorted(links):
                found.links += [f"{link.name}/{n}" for n in kind.names_in(link)] if link.is_dir() else [link.name]
            depth = len(place.path.parts) + 1
            found.direct = found.direct or any(len(path.parts) == depth for path in (paths if inner else paths[:1]))
            if inner:
                found.inner.setdefault(place.name, []).extend(inner)
            if len(inner) == 1:
                found.deeper.setdefault(place.name, []).extend(folders_of(paths, inner[0]))
            found.paths += paths
            found.numbers += [number[place.name]] * len(paths)
            found.groups += [place.group] * len(paths)
        found.splits[split] = np.arange(start, len(found.paths))
    return found


def folders_of(paths: list[Path], above: Path) -> list[Path]:
    """The folders directly within one that holds all of these files; none if the first lies in it itself."""
    depth = len(above.parts)
    if not paths or len(paths[0].parts) == depth + 1:
        return []
    return [above / name for name in dict.fromkeys(path.parts[depth] for path in paths if len(path.parts) > depth + 1)]


def number_groups(folders: ClassFolders, groups: list[str]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """A number for the group of each file, and a sentence on groups; None if there are none, or too few."""
    names = list(dict.fromkeys(groups))
    if names in ([], [""]):
        return None, ()
    if not folders.folds and len(names) < LEAST_GROUPS:
        return None, (f"the files of the folders {some(names)} are put together",)
    notice = f"{len(names)} groups, each kept in one split: the folders {some(sorted(names))}"
    return numbers_of(groups, names), () if folders.folds else (notice,)


def skipped_notices(folders: ClassFolders, found: FoundFiles, kind: FileKind) -> tuple[str, ...]:
    """Notices on the content of the data set's folders that is not read."""
    hidden = folders.unlabelled.items()
    notices: list[str] = [unlabelled_split(split, len(kind.names_in(path))) for split, path in hidden]
    loose = [path.name for folder in folders.above for path in plain_files(folder) if kind.matches(path.name)]
    if loose:
        notices.append(LeftOut(f"{kind.noun} outside the class folders were skipped: {some(loose)}", len(loose)))
    if folders.passed:
        count = sum(len(kind.names_in(folder)) for folder in folders.passed)
        names = some(path.name for path in folders.passed)
        notices.append(LeftOut(f"folders of {kind.noun} without a class were skipped: {names}", count))
    if links := found.links:
        notices.append(LeftOut(f"links that lead out of their folder were skipped: {some(links)}", len(links)))
    if found.others:
        counts = some(f"{count} {suffix or 'without extension'}" for suffix, count in found.others.most_common())
        notices.append(f"files other than {kind.noun} were skipped: {counts}")
    return tuple(notices)


def first_file(root: Path, suffixes: Collection[str]) -> Path | None:
    """A file with one of these suffixes within a folder's folders, if one is soon found."""
    if not root.is_dir():
        return None
    entries = islice(chain.from_iterable(map(walk, class_folders(root))), LOOK)
    # Few entries become a path: this is asked of every folder, whatever it holds.
    files = (Path(entry.path) for entry in entries if entry.name.lower().endswith(tuple(suffixes)))
    return next((path for path in files if path.suffix.lower() in suffixes and path.is_file()), None)
