"""Decide which folders of a data set are splits, which are folds or groups, and which are classes."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from neocog.dataset.files import class_folders
from neocog.dataset.split_names import SPLIT_NAMES, is_neutral, split_meant, splits_meant, words
from neocog.errors import ConfigError, DataError, some

__all__ = [
    "ClassFolder", "ClassFolders", "check_depth", "find_class_folders", "fold_folders", "split_folders",
    "within_classes",
]  # fmt: skip

FOLD = re.compile(r"(?:cv|k|x)?[\s_.-]*fold[\s_.-]*(\d{1,4})", re.IGNORECASE)
LEAST_GROUPS = 3
"""One for training, one for validation, one for the test."""
SPLITS = ("train", "val", "test")
LEVELS = (1, 2, 3)
TO_PREDICT = {"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "unsup", "submission"}
"""Words in the names of folders beside those of splits whose files have no class."""
FLAG = "--data.class_level"


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """A folder with the files of one class."""

    path: Path
    name: str
    """The class."""
    group: str = ""
    """The fold, or the folder above that is neither a class nor a split."""


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """The folders of the classes by split, and the meaning of those above them."""

    root: Path
    splits: dict[str, list[ClassFolder]]
    above: tuple[Path, ...]
    """The folders that hold class folders, and all above them, from the root on."""
    level: int | None = None
    """The level that the user has asked for."""
    notices: tuple[str, ...] = ()
    folds: tuple[str, ...] = ()
    test_fold: str | None = None
    unlabelled: dict[str, Path] = field(default_factory=dict)
    """Splits that hold files, and no class folders."""
    passed: tuple[Path, ...] = ()
    """Folders beside those of the classes whose files have no class."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names in all splits together, sorted."""
        return tuple(sorted({folder.name for folders in self.splits.values() for folder in folders}))


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that holds class folders, and the split and the group of its files."""

    path: Path
    split: str
    group: str = ""


def find_class_folders(
    root: Path,
    holds: Callable[[Path], bool],
    *,
    level: int | None = None,
    test_fold: str | int | None = None,
    no_class: Collection[str] = (),
) -> ClassFolders:
    """`CLASS`, `SPLIT/CLASS` or `FOLD/CLASS`; with level 2 or 3, also `GROUP/CLASS` and `SPLIT/GROUP/CLASS`.

    `holds` tells whether a folder holds data at any depth; `level` is that of the classes below the root; `no_class`
    are names, in small letters, of folders whose files have no class. Raises DataError if names can be read in two
    ways, and for splits without class folders; ConfigError for a level or a fold that does not exist.
    """
    if level is not None and level not in LEVELS:
        raise ConfigError(f"{FLAG} is one of {', '.join(map(str, LEVELS))}.", received=str(level))
    folders = class_folders(root)
    aside = [] if level == 1 else beside_splits(folders, holds)
    folders = [folder for folder in folders if folder not in aside]
    splits = {} if level == 1 else split_folders(root, folders)
    folds = {} if level == 1 or splits else fold_folders(folders)
    if test_fold is not None and not folds:
        rule = "A fold for the test is one of folders called fold1, fold2 and so on."
        received = f"{test_fold}, and {root} has {some(folder.name for folder in folders) or 'no folders'}"
        raise ConfigError(rule, received=received, fix="Remove --data.test_fold.")
    chosen: str | None = None
    if splits:
        check_inner(root, "splits", {path.name: descend(path) for path in splits.values()}, holds)
        places = [Place(descend(path), split) for split, path in splits.items()]
        notices = describe_splits(root, splits, places)
    elif folds:
        check_inner(root, "folds", folds, holds)
        chosen = choose_fold(root, folds, test_fold)
        places, notices = places_of_folds(folds, chosen)
    else:
        places, notices = [Place(root, "all")], ()
    deeper = (level or 1) - (2 if splits or folds else 1)
    for _ in range(deeper):
        inner = [(place, folder) for place in places for folder in class_folders(place.path)]
        places = [Place(path, above.split, f"{above.group}/{path.name}".lstrip("/")) for above, path in inner]
    if deeper > 0 and not any(class_folders(place.path) for place in places):
        rule = f"{FLAG} {level} reads the folders {level} levels below {root} as classes. There are none."
        raise ConfigError(rule, fix="Choose a smaller level, or leave it out.")
    unlabelled = {
        place.split: splits[place.split]
        for place in places
        if splits and deeper <= 0 and without_classes(place, places, no_class) and holds(place.path)
    }
    places = [place for place in places if place.split not in unlabelled]
    found: dict[str, list[ClassFolder]] = {place.split: [] for place in places}
    passed = [folder for folder in aside if holds(folder)]
    if empty := [folder.name for folder in aside if folder not in passed]:
        notices += (f"folders beside the splits without any such files were skipped: {some(empty)}",)
    for place, path in [(at, path) for at in places for path in class_folders(at.path)]:
        if path.name.lower() in no_class:
            passed.append(path)
        else:
            found[place.split].append(ClassFolder(path, path.name, place.group))
    above = all_above(root, places)
    return ClassFolders(root, found, above, level, notices, tuple(folds), chosen, unlabelled, tuple(passed))


def without_classes(place: Place, places: list[Place], no_class: Collection[str]) -> bool:
    """Whether a split has no class folders: none at all, or one such as `images`, which training lacks."""
    inside = [path.name for path in class_folders(place.path) if path.name.lower() not in no_class]
    if place.split == "train":
        return False
    if len(inside) != 1 or not is_neutral(inside[0]):
        return not inside
    trained = {path.name for other in places if other.split == "train" for path in class_folders(other.path)}
    return bool(trained) and inside[0] not in trained


def beside_splits(folders: list[Path], holds: Callable[[Path], bool]) -> list[Path]:
    """Folders beside train and another split that are neither: without data, or with data to predict (seg_pred)."""
    meant = splits_meant([folder.name for folder in folders])
    if "train" not in meant.values() or len(set(meant.values())) < 2:
        return []
    others = (folder for folder in folders if folder.name not in meant)
    return [folder for folder in others if TO_PREDICT.intersection(words(folder.name)) or not holds(folder)]


def split_folders(root: Path, folders: list[Path]) -> dict[str, Path]:
    """The folder of each split, or {} if the root's folders are classes."""
    meant = splits_meant([folder.name for folder in folders])
    found = {split: [f for f in folders if meant.get(f.name) == split] for split in SPLITS if split in meant.values()}
    others = [folder.name for folder in folders if folder.name not in meant]
    plain = [folder.name for folder in folders if folder.name.lower() in SPLIT_NAMES]
    twice = next((found[split] for split in meant.values() if len(found[split]) > 1), None)
    if "train" not in found and (others or (twice and not all(folder.name in plain for folder in twice))):
        return {}  # classes that merely carry a split's name, such as "test"
    if others and not twice and not plain and not any(map(class_folders, found["train"])):
        return {}  # a class such as "training": as a split it would hold none
    if twice:
        first, second = (folder.name for folder in twice[:2])
        fix = f"Rename one, or move it away; if all of its folders are classes: {FLAG} 1."
        raise ambiguous(root, f"{first} and {second} both mean {meant[first]}", fix)
    if others and found:
        fix = f"Move one of the two; if all of its folders are classes: {FLAG} 1."
        raise ambiguous(root, f"as splits ({', '.join(found)}) or as classes, because it also has {some(others)}", fix)
    return {split: same[0] for split, same in found.items()}


def ambiguous(root: Path, ways: str, fix: str) -> DataError:
    return DataError(f"{root} can be read in two ways: {ways}.", fix=fix)


def describe_splits(root: Path, splits: dict[str, Path], places: list[Place]) -> tuple[str, ...]:
    """Notices on folders whose names differ from the splits that they are read as, or that lie within such."""
    other = [f"{path.name} as {split}" for split, path in splits.items() if path.name.lower() not in SPLIT_NAMES]
    inner = {place.path.relative_to(root): place.split for place in places if place.path != splits[place.split]}
    within = tuple(f"{path.as_posix()} is read as {split}" for path, split in inner.items())
    return ((f"folders are read as splits: {some(other)}",) if other else ()) + within


def descend(folder: Path) -> Path:
    """The folder that an archive has put into one of its own name: seg_train/seg_train."""
    inside = class_folders(folder)
    same = len(inside) == 1 and split_meant(inside[0].name) == split_meant(folder.name)
    return inside[0] if same else folder


def check_inner(root: Path, kind: str, folders: dict[str, Path], holds: Callable[[Path], bool]) -> None:
    """Raises DataError if no split (or fold) has class folders, or if these are splits again."""
    names = {folder.name for path in folders.values() for folder in class_folders(path)}
    shown = some(folders)
    if not names and any(map(holds, folders.values())):
        place, which = ("train", shown) if kind == "splits" else (next(iter(folders)), "the folds")
        are = "is a class" if len(folders) == 1 else "are classes"
        direct = f"are {kind} ({shown}), and hold the files directly, so the classes are unknown"
        rule = f"Each class needs a folder. The folders of {root} {direct}."
        raise DataError(rule, fix=f"Put the files into {root}/{place}/CLASS/; if {which} {are}: {FLAG} 1.")
    if len(names) > 1 and len(splits_meant(names)) == len(names):
        within, fix = (
            f"{some(sorted(names))} within {shown}",
            "Give a folder that has splits once, or rename the classes.",
        )
        if kind == "folds":
            within += ": each fold has splits of its own"
            fix = f"Give one of them: {root / next(iter(folders))}."
        raise DataError(f"The folders of {kind} hold those of classes.", received=within, where=str(root), fix=fix)


def fold_folders(folders: list[Path]) -> dict[str, Path]:
    """The folds in the order of their numbers, if all folders are folds; else {}."""
    numbers = {folder: FOLD.fullmatch(folder.name) for folder in folders}
    found = {folder: int(match[1]) for folder, match in numbers.items() if match}
    ordered = sorted(found, key=lambda folder: (found[folder], folder.name))
    return {folder.name: folder for folder in ordered} if len(found) == len(folders) > 1 else {}


def places_of_folds(folds: dict[str, Path], test: str) -> tuple[list[Place], tuple[str, ...]]:
    """The folds for training, then the one for the test; each is a group if there are others to validate on."""
    several = len(folds) >= LEAST_GROUPS
    places = [Place(path, "train", name if several else "") for name, path in folds.items() if name != test]
    places.append(Place(folds[test], "test", test if several else ""))
    whole = ", and each fold stays whole" if several else ""
    return places, (f"{len(folds)} folds: {test} is the test{whole}; --data.test_fold chooses another",)


def choose_fold(root: Path, folds: dict[str, Path], wanted: str | int | None) -> str:
    """The name of the fold for the test, by name or number; the last one if none is wanted."""
    if wanted is None:
        return list(folds)[-1]
    text = str(wanted).strip()
    named = [name for name in folds if name.lower() == text.lower()]
    if not named and text.isdecimal():
        named = [name for name in folds if (match := FOLD.fullmatch(name)) and int(match[1]) == int(text)]
    if len(named) != 1:
        rule = f"The fold for the test is one of {some(folds, 10)}."
        raise ConfigError(rule, received=repr(text), where=str(root), fix="Give the name or the number of one of them.")
    return named[0]


def all_above(root: Path, places: list[Place]) -> tuple[Path, ...]:
    """The root, the places, and all folders between, once each."""
    between = [place.path.relative_to(root).parts for place in places]
    paths = (root.joinpath(*parts[:k]) for parts in between for k in range(1, len(parts) + 1))
    return tuple(dict.fromkeys((root, *paths)))


def within_classes(folders: ClassFolders, inner: dict[str, list[Path]]) -> ClassFolders | None:
    """The splits that lie within the class folders, CLASS/SPLIT; None if those are not splits.

    `inner` has for each class the folders with data directly within its own.
    """
    names = {path.name for paths in inner.values() for path in paths}
    meant = splits_meant(names)
    whole = set(folders.splits) == {"all"} and len(meant) == len(names) > 1 and "train" in meant.values()
    if not whole or any(class_folders(path) for paths in inner.values() for path in paths):
        return None
    found: dict[str, list[ClassFolder]] = {split: [] for split in SPLITS if split in meant.values()}
    for name, path in [(name, path) for name, paths in inner.items() for path in paths]:
        found[meant[path.name]].append(ClassFolder(path, name))
    found["train"] += [folder for folder in folders.splits["all"] if folder.name not in inner]  # without any file
    above = (*folders.above, *(folder.path for folder in folders.splits["all"]))
    notice = f"the folders within the class folders are read as splits: {some(sorted(names))}"
    return replace(folders, splits=found, above=above, level=folders.level or 1, notices=(*folders.notices, notice))


def check_depth(folders: ClassFolders, inner: dict[str, list[Path]], *, direct: bool) -> tuple[str, ...]:
    """Notices on the folders within the class folders, if the level was not given.

    `inner` has for each class the folders with data directly within its own, or within the only one there; `direct`
    says whether there is data beside them. Raises DataError if the classes could as well be the inner folders: if
    several of these have names in common with each other or with the classes, or if they are splits.
    """
    if folders.level is not None:
        return ()
    by_name: dict[str, set[str]] = {}
    for name, path in [(name, path) for name, paths in inner.items() for path in paths]:
        by_name.setdefault(path.name, set()).add(name)
    shared = sorted(name for name, classes in by_name.items() if len(classes) > 1)
    level = 1 + (set(folders.splits) != {"all"})
    check_copies(folders, inner, level)
    own = {folder.path for places in folders.splits.values() for folder in places}
    meant_inside = [path for paths in inner.values() for path in paths if path.name in shared or len(shared) < 2]
    deeper = level + max((1 if path.parent in own else 2 for path in meant_inside), default=1)
    if len(shared) > 1:
        outer = sorted(set().union(*(by_name[name] for name in shared)))
        if len(splits_meant(shared)) == len(shared):
            raise nested_sets(folders, outer, shared, level)
        choice = f"{FLAG} {level}" + (f" or {FLAG} {deeper}" if deeper in LEVELS else "; or move the inner folders up")
        splits = "" if level > 1 else f" If {some(outer)} are splits, call them train, val and test."
        ways = (
            f"as the classes {some(outer)}, or as the classes {some(shared)}, whose folders lie within several others"
        )
        raise ambiguous(folders.root, ways, f"Say at which level the classes are: {choice}.{splits}")
    for name, paths in inner.items():
        meant = splits_meant(sorted({path.name for path in paths}))
        if "train" in meant.values() and len(set(meant.values())) > 1:
            raise nested_sets(folders, [name], sorted(meant), level)
    if direct or not any(len(paths) > 1 for paths in inner.values()):
        return ()
    flag = f" ({FLAG} {deeper} makes them so)" if deeper in LEVELS else ""
    within = f"the folders within theirs, such as {some(sorted(by_name), 2)}, are not classes{flag}"
    return (f"the classes are {some(folders.classes)}; {within}",)


def check_copies(folders: ClassFolders, inner: dict[str, list[Path]], level: int) -> None:
    """Raises DataError if one of the classes holds the folders that are beside it: a second copy of the data set."""
    for places in folders.splits.values():
        beside: dict[Path, set[str]] = {}
        for place in places:
            beside.setdefault(place.path.parent, set()).add(place.name)
        for place in places:
            within = {path.name for path in inner.get(place.name, ()) if path.parent == place.path}
            copied = sorted(within & beside[place.path.parent] - {place.name})
            if len(copied) > 1:
                why = f"because the folders {some(copied)} are beside {place.path} and within it"
                fix = f"Move {place.name} away if it is a copy; if it is a class: {FLAG} {level}."
                raise ambiguous(folders.root, f"{place.name} as a class, or as a copy of the data set, {why}", fix)


def nested_sets(folders: ClassFolders, outer: list[str], inner: list[str], level: int) -> DataError:
    """Folders that would be classes, but have splits within them."""
    root, names = folders.root, some(outer)
    path = next(place.path for places in folders.splits.values() for place in places if place.name == outer[0])
    that, them, kind, why = "that", "it", "a class", "as a class, or as a data set of its own, because it has"
    if len(outer) > 1:
        that, them, kind = "one of them", "them", "classes"
        why = "as classes, or as data sets of their own, because they have"
    fix = f"Give {that} if it is a data set: {path}; else put the files into {root}/train/CLASS and {root}/test/CLASS."
    ways = f"{names} {why} folders {some(inner)} and more within {them}"
    return ambiguous(root, ways, f"{fix} To read {names} as {kind}: {FLAG} {level}.")
