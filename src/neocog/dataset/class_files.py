"""Files of one kind in a folder for each class, with or without folders for splits."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.class_folders import (
    LEAST_GROUPS,
    ClassFolders,
    check_depth,
    find_class_folders,
    within_classes,
)
from neocog.dataset.files import files_below
from neocog.dataset.folders import class_folders, list_files, plain_files, suffix_of, walk
from neocog.dataset.record import LeftOut, absent_classes, unlabelled_split
from neocog.errors import DataError, some

__all__ = ["ClassFiles", "FileKind", "find_class_files", "first_file", "gather"]

LOOK = 10_000  # files that are looked at to recognise a layout


@dataclass(frozen=True, slots=True)
class FileKind:
    """The files that a layout reads."""

    suffixes: frozenset[str]
    what: str
    """What users call them."""
    example: str = "*"
    """The files of a class, in a path such as train/CLASS/*.png."""
    others: str = ""
    """What all other files are called; unset: files other than these."""
    follow: bool = True
    """Whether links to folders, and to files elsewhere, are followed."""
    no_class: frozenset[str] = frozenset()
    """Names, in small letters, of folders whose files have no class."""

    def holds(self, folder: Path) -> bool:
        """Whether there is such a file at any depth."""
        return any(suffix_of(entry.name) in self.suffixes for entry in walk(folder, follow=self.follow))


@dataclass(frozen=True, slots=True)
class ClassFiles:
    """The files of a data set, sorted within splits and classes, and what each is."""

    root: Path
    paths: tuple[Path, ...]
    classes: tuple[str, ...]
    targets: NDArray[np.int64]
    """(N,)."""
    splits: dict[str, NDArray[np.int64]]
    notices: tuple[str, ...] = ()
    groups: NDArray[np.int64] | None = None
    """Numbers of what must not be divided: the fold, or the folder above that of the class; (N,)."""
    folders: ClassFolders | None = None

    @property
    def group_kind(self) -> str:
        """What the groups are."""
        return "folds" if self.folders and self.folders.folds else "folders"

    @property
    def unlabelled(self) -> tuple[str, ...]:
        """Splits that are left out because no class of their files is known."""
        return tuple(self.folders.unlabelled) if self.folders else ()

    def key(self, index: int) -> str:
        """A file's path below the root."""
        return self.paths[index].relative_to(self.root).as_posix()


@dataclass(slots=True)
class Gathered:
    """The files of all classes, as they are found."""

    paths: list[Path] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    splits: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    strangers: Counter[str] = field(default_factory=Counter)
    inner: dict[str, list[Path]] = field(default_factory=dict)
    """The folders directly within those of a class, by its name."""
    deeper: dict[str, list[Path]] = field(default_factory=dict)
    """The folders within the only one in that of a class, by its name."""
    direct: bool = False
    """Whether a file lies directly in the folder of a class."""
    links: list[str] = field(default_factory=list)
    """Of files that are not followed."""


def gather(
    root: Path, kind: FileKind, *, class_level: int | None = None, test_fold: str | int | None = None
) -> ClassFiles:
    """`SPLIT/CLASS/*`, `FOLD/CLASS/*` or `CLASS/*`, at any depth below the class; see `find_class_folders`.

    Raises DataError where there is no such file, or where folders can be meant in two ways.
    """
    folders = find_class_folders(root, kind.holds, level=class_level, test_fold=test_fold, no_class=kind.no_class)
    found = gather_files(folders, kind)
    inner = {name: paths for name, all_ in found.inner.items() if (paths := list(filter(kind.holds, all_)))}
    if inner and not found.direct and (divided := within_classes(folders, inner)):
        folders, found, inner = divided, gather_files(divided, kind), {}
    if not found.paths:
        raise DataError(
            f"{root} holds no {kind.what}. Put them at {root}/train/CLASS/{kind.example} or "
            f"{root}/CLASS/{kind.example}; read are {', '.join(sorted(kind.suffixes))}."
        )
    if not found.direct:
        inner = {name: found.deeper.get(name) or paths for name, paths in inner.items()}
    classes, targets = folders.classes, np.array(found.numbers, np.int64)
    groups, about_groups = number_groups(folders, found.groups)
    notices = absent_classes(classes, {split: targets[part] for split, part in found.splits.items()})
    notices += folders.notices + about_groups + check_depth(folders, inner, direct=found.direct)
    notices += passed_over(folders, found, kind)
    return ClassFiles(root, tuple(found.paths), classes, targets, found.splits, notices, groups, folders)


def gather_files(folders: ClassFolders, kind: FileKind) -> Gathered:
    """All files of the classes, sorted within each of their folders."""
    found, index = Gathered(), {name: k for k, name in enumerate(folders.classes)}
    for split, places in folders.splits.items():
        start = len(found.paths)
        for place in places:
            inner: list[Path] = []
            if kind.follow:
                paths = list_files(place.path, kind.suffixes, found.strangers, inner)
            else:
                to_folders: list[Path] = []
                paths, links = files_below(place.path, kind.suffixes, found.strangers, inner, to_folders)
                found.links += links + [f"{link.name}/{name}" for link in to_folders for name in names_in(link, kind)]
            depth = len(place.path.parts) + 1
            found.direct = found.direct or any(len(path.parts) == depth for path in (paths if inner else paths[:1]))
            if inner:
                found.inner.setdefault(place.name, []).extend(inner)
            if len(inner) == 1:
                found.deeper.setdefault(place.name, []).extend(folders_of(paths, inner[0]))
            found.paths += paths
            found.numbers += [index[place.name]] * len(paths)
            found.groups += [place.group] * len(paths)
        found.splits[split] = np.arange(start, len(found.paths))
    return found


def folders_of(paths: list[Path], above: Path) -> list[Path]:
    """The folders directly within one that holds all of these files; none where the first lies in it itself."""
    depth = len(above.parts)
    if not paths or len(paths[0].parts) == depth + 1:
        return []
    return [above / name for name in dict.fromkeys(path.parts[depth] for path in paths if len(path.parts) > depth + 1)]


def number_groups(folders: ClassFolders, groups: list[str]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """A number for the group of each file, and a sentence on groups; None where there are none, or too few."""
    names = list(dict.fromkeys(groups))
    if names in ([], [""]):
        return None, ()
    if folders.folds:
        notices: tuple[str, ...] = ()
    elif len(names) < LEAST_GROUPS:
        return None, (f"the files of the folders {some(names)} are put together",)
    else:
        notices = (f"{len(names)} groups, none of which is divided: the folders {some(sorted(names))}",)
    number = {name: k for k, name in enumerate(names)}
    return np.array([number[name] for name in groups], np.int64), notices


def passed_over(folders: ClassFolders, found: Gathered, kind: FileKind) -> tuple[str, ...]:
    """What lies in the data set's folders and is not read."""
    what = kind.what
    notices: tuple[str, ...] = ()
    for split, path in folders.unlabelled.items():
        notices += (unlabelled_split(split, count_files([path], kind)),)
    loose = [
        path.name for folder in folders.above for path in plain_files(folder) if suffix_of(path.name) in kind.suffixes
    ]
    if loose:
        notices += (LeftOut(f"{what} beside the classes' folders were passed over: {some(loose)}", len(loose)),)
    if folders.passed:
        count, names = count_files(folders.passed, kind), some(path.name for path in folders.passed)
        notices += (LeftOut(f"folders of {what} without a class were passed over: {names}", count),)
    if found.links:
        sentence = f"links that lead out of their folder were passed over: {some(found.links)}"
        notices += (LeftOut(sentence, len(found.links)),)
    if found.strangers:
        kinds = some(f"{count} {kind_ or 'without extension'}" for kind_, count in found.strangers.most_common())
        notices += (f"{kind.others or f'other files than {what}'} were passed over: {kinds}",)
    return notices


def count_files(folders: Collection[Path], kind: FileKind) -> int:
    return sum(len(names_in(folder, kind)) for folder in folders)


def names_in(folder: Path, kind: FileKind) -> list[str]:
    """The names of all files of this kind at any depth."""
    return sorted(entry.name for entry in walk(folder, follow=kind.follow) if suffix_of(entry.name) in kind.suffixes)


def find_class_files(
    root: Path,
    suffixes: Collection[str],
    what: str,
    *,
    class_level: int | None = None,
    test_fold: str | int | None = None,
) -> ClassFiles:
    """`gather` for files of these kinds, which users call `what`."""
    return gather(root, FileKind(frozenset(suffixes), what), class_level=class_level, test_fold=test_fold)


def first_file(root: Path, suffixes: Collection[str]) -> Path | None:
    """A file of this kind within a folder's folders, if one is soon found."""
    if not root.is_dir():
        return None
    entries = islice(chain.from_iterable(map(walk, class_folders(root))), LOOK)
    # A path is made of few of them: this is asked of every folder, whatever it holds.
    files = (Path(entry.path) for entry in entries if entry.name.lower().endswith(tuple(suffixes)))
    return next((path for path in files if path.suffix.lower() in suffixes and path.is_file()), None)
