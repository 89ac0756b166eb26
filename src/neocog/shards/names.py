"""Which files are the shards of a set, and which split each belongs to."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote

from neocog.dataset.files import class_folders, hidden
from neocog.dataset.split_names import SPLIT_NAMES, split_meant
from neocog.errors import DataError, some
from neocog.shards.contents import parse_label
from neocog.shards.leftovers import CACHE, Kept, choose_files, is_leftover, tell
from neocog.shards.store import CONTAINERS, SPLIT_FOLDERS, Container, LocalStore, Store, open_store

__all__ = ["LABELS", "ShardFiles", "Split", "expand", "find_shards", "is_address", "is_shard", "looks_packed"]

Split = Literal["all", "train", "val", "test"]
SPLITS: tuple[Split, ...] = ("all", "train", "val", "test")  # in the order of the records
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
WORDS = "training|trn|train|validation|valid|val|vld|dev|testing|test|tst|eval|holdout"
PREFIX = re.compile(rf"({WORDS})(?=[-_.\d])", re.IGNORECASE)
WITHIN = re.compile(rf"(?<=[-_.])({WORDS})(?=[-_.\d])", re.IGNORECASE)
NUMBERED = re.compile(r"(.+)-\d{5}-of-(\d{5})")  # as `datasets` names shards: train-00000-of-00002.parquet
PARTITION = re.compile(r"([^=]+)=(.+)")  # a folder of Hive's layout: a column, and its value in all rows below
LABELS = ("label", "labels", "cls")  # names of a column of classes
NULL = "__HIVE_DEFAULT_PARTITION__"
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")
MAX_NAMES = 100_000
MAX_LOOKED = 10_000


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """The shards of a set in the order of its splits: their store, and split by name below it."""

    name: str
    store: Store
    splits: dict[str, Split]
    container: Container
    passed: dict[str, str] = field(default_factory=dict)  # split by shard, if other: counted and not read
    aside: tuple[str, ...] = ()  # shards in folders that name no split: counted and not read
    labels: dict[str, tuple[str, int | str | None]] = field(
        default_factory=dict
    )  # column and class, by its folder's name
    notices: tuple[str, ...] = ()


def is_address(data: str | Path) -> bool:
    """Whether this is not a plain path, but an address such as s3://bucket/folder, or a pattern with braces or a star.

    >>> is_address("shards-{000..009}.tar"), is_address("memory://set"), is_address("images")
    (True, True, False)
    """
    text = str(data)
    return "://" in text or (BRACES.search(text) is not None and not Path(text).exists()) or is_glob(text)


def is_glob(text: str) -> bool:
    name = PurePosixPath(text).name
    return bool(set("*?") & set(name)) and PurePosixPath(name).suffix in CONTAINERS and not Path(text).exists()


def looks_packed(name: str) -> bool:
    """Whether a name is that of a compressed tar, which allows no random access."""
    return name.lower().endswith(PACKED)


def find_shards(data: str | Path) -> ShardFiles:
    """The shards in a folder, of a pattern, at an address, or one file. Raises DataError for none, or for a mixture."""
    root, names = split_place(str(data))
    if looks_packed(str(data)) or any(looks_packed(name) for name in names or ()):
        raise compressed_error(data)
    store = open_store(root)
    whole = names is None or is_glob(str(data))
    there = store.names() if whole else list(names or ())
    if names is None:
        kept = choose_files(store, there, [name for name in there if is_shard(name)])
    elif whole:
        kept = choose_files(store, there, [name for name in there if fnmatchcase(name, names[0]) and "/" not in name])
    else:
        left = filter(CACHE.fullmatch, names)
        kept = Kept(tuple(names), notices=tuple(f"{name} is a file that `datasets` left as its cache" for name in left))
    if not kept.names:
        if any(looks_packed(name) for name in there):
            raise compressed_error(data)
        fix = "Put .tar or .parquet files there, or check the path."
        raise DataError(f"There are no shards at {data}.", fix=fix + "".join(f" Found: {n}." for n in kept.notices))
    kinds = sorted({PurePosixPath(name).suffix for name in kept.names})
    if len(kinds) > 1 or kinds[0] not in CONTAINERS:
        received, fix = ", ".join(kinds) or "no suffix", f"Name one kind by a pattern: {root}/shards-{{000..009}}.tar."
        rule = "Shards are .tar, .parquet or .arrow files, all of one kind."
        raise DataError(rule, received=received, where=str(data), fix=fix)
    label = PurePosixPath(root if whole else kept.names[0]).name if whole or len(kept.names) == 1 else ""
    name = (PurePosixPath(label).stem if names else label) or PurePosixPath(root).name or "shards"
    splits, passed = sort_by_split(kept, data)
    labels = read_partition_labels(splits)
    known = SPLIT_FOLDERS | {name.partition("/")[0].lower() for name in kept.names if "/" in name}
    aside = tuple(find_shards_aside(store, kinds[0], known)) if names is None else ()
    notices = (*kept.notices, *tell_oddities(splits))
    return ShardFiles(name, store, splits, CONTAINERS[kinds[0]], passed, aside, labels, notices)


def find_shards_aside(store: Store, suffix: str, known: Collection[str]) -> Iterator[str]:
    """Shards of this kind in further folders of this machine; of each, which may be huge, MAX_LOOKED names are read."""
    if not isinstance(store, LocalStore):
        return
    for folder in class_folders(store.path):
        if folder.name.lower() in known or "=" in folder.name or folder.name.startswith("_"):
            continue
        try:
            inside = sorted(path.name for path in itertools.islice(folder.iterdir(), MAX_LOOKED))
        except OSError:  # it belongs to somebody else
            continue
        named = [name for name in inside if name.endswith(suffix) and not hidden(name) and not is_leftover(name)]
        yield from (f"{folder.name}/{name}" for name in named if (folder / name).is_file())


def compressed_error(data: str | Path) -> DataError:
    fix = "Unpack it (gunzip FILE.tar.gz leaves FILE.tar), then open the .tar, or repack it with `neocog pack`."
    return DataError("Shards must be plain tars, which allow random access.", received=str(data), fix=fix)


def split_place(text: str) -> tuple[str, list[str] | None]:
    """A root, and the files below it that are named; None means all."""
    if BRACES.search(text) and not Path(text).exists():
        base = text[: text.index("{")].rpartition("/")[0] if "/" in text[: text.index("{")] else "."
        return base or "/", [name.removeprefix(base).lstrip("/") if base != "." else name for name in expand(text)]
    if is_shard(PurePosixPath(text).name) or looks_packed(text):
        if "://" in text or not Path(text).is_dir():
            base, _, name = text.rpartition("/")
            return base or ("/" if text.startswith("/") else "."), [name]
    elif "://" not in text and not Path(text).is_dir():
        raise DataError("Shards are .tar, .parquet or .arrow files, or a folder of them.", received=text)
    return text, None


def is_shard(name: str) -> bool:
    """Whether this is a shard's name, in the root or in a folder that carries a split's name."""
    path = PurePosixPath(name)
    if path.suffix not in CONTAINERS or path.name.startswith("."):
        return False
    alone = len(path.parts) < 2 or name.startswith("/") or "://" in name
    return alone or path.parts[-2].lower() in SPLIT_FOLDERS or PARTITION.fullmatch(path.parts[-2]) is not None


def expand(pattern: str) -> list[str]:
    """All names that a pattern with braces means.

    >>> expand("{train,test}-{08..10}.tar")[:3]
    ['train-08.tar', 'train-09.tar', 'train-10.tar']
    """
    parts: list[list[str]] = []
    for place, part in enumerate(BRACES.split(pattern)):
        bounds = RANGE.fullmatch(part) if place % 2 else None  # every other part was in braces
        parts.append(part.split(",") if place % 2 else [part])
        if bounds:
            first, last = (int(text[:9]) for text in bounds.groups())
            if last < first or last - first >= MAX_NAMES:
                rule = f"A range in braces goes upwards, over at most {MAX_NAMES:,} numbers, as in {{000..009}}."
                raise DataError(rule, received=pattern)
            parts[-1] = [str(number).zfill(len(bounds[1])) for number in range(first, last + 1)]
    count = math.prod(map(len, parts))
    if count > MAX_NAMES:
        raise DataError(f"A pattern may name at most {MAX_NAMES:,} shards. {pattern} names {count:,}.", fix="Split it.")
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def sort_by_split(kept: Kept, data: str | Path) -> tuple[dict[str, Split], dict[str, str]]:
    """The split of every shard, sorted by split and then by name; and the shards of other splits."""
    words = {name: kept.words.get(name, find_split_word(name)) for name in sorted(set(kept.names))}
    within = {name: match[1].lower() for name in words if (match := WITHIN.search(PurePosixPath(name).name))}
    if not any(words.values()) and len({parse_split(word) for word in within.values()}) > 1:
        words |= within
    splits = {name: parse_split(word) for name, word in words.items()}
    passed: dict[str, str] = {}
    if any(split != "all" for split in splits.values()) or kept.words:
        for name in [name for name, split in splits.items() if split == "all"]:
            match = NUMBERED.match(PurePosixPath(name).name)
            if other := words[name] or (match[1] if match else ""):
                passed[name] = other
                del splits[name]
    if not splits:
        rule, received = f"A set has splits called {', '.join(SPLIT_NAMES)}.", some(sorted(set(passed.values())), 8)
        fix = "Rename them, or name the folder or the files of one."
        raise DataError(rule, received=received, where=str(data), fix=fix)
    lone = [name for name, split in splits.items() if split == "all"]
    if lone and len(lone) < len(splits):
        rule = "Either all shards name their split (train-, val-, test-) or none does."
        received = f"{some(lone)} beside {some(name for name in splits if name not in lone)}"
        raise DataError(rule, received=received, where=str(data), fix="Rename them, or move them away.")
    for split in SPLITS[1:]:
        called = sorted({words[name].lower() for name in splits if splits[name] == split})
        if len(called) > 1:
            rule = f"{data} can be read in two ways: two of {', '.join(called)} mean {split}."
            raise DataError(rule, fix="Remove one.")
    return dict(sorted(splits.items(), key=lambda item: (SPLITS.index(item[1]), item[0]))), passed


def find_split_word(name: str) -> str:
    """The name of the split in a shard's folder or the beginning of its name; empty if there is none."""
    path = PurePosixPath(name)
    for key, value in reversed(parse_partitions(name)):
        if key.lower() == "split":
            return value or ""
    match = PREFIX.match(path.name)
    named = match[1].lower() if match else ""
    return next((part.lower() for part in reversed(path.parts[:-1]) if split_meant(part)), named)


def parse_split(word: str) -> Split:
    """
    >>> parse_split("validation"), parse_split("training"), parse_split("dev"), parse_split("extra")
    ('val', 'train', 'val', 'all')
    """
    splits: dict[str | None, Split] = {"val": "val", "test": "test", "train": "train"}
    return splits.get(split_meant(word), "all")


def parse_partitions(name: str) -> list[tuple[str, str | None]]:
    """The columns that the folders of a shard give, with their values.

    >>> parse_partitions("split=train/label=a%20b/part-0.parquet")
    [('split', 'train'), ('label', 'a b')]
    """
    found = [PARTITION.fullmatch(part) for part in PurePosixPath(name).parts[:-1]]
    return [(match[1], None if match[2] == NULL else unquote(match[2])) for match in found if match]


def read_partition_labels(names: Iterable[str]) -> dict[str, tuple[str, int | str | None]]:
    """The column and the class that the folders of a shard give to all its records: numbers if all of them are.

    >>> read_partition_labels(["label=3/a.parquet", "label=10/a.parquet"])
    {'label=3/a.parquet': ('label', 3), 'label=10/a.parquet': ('label', 10)}
    >>> read_partition_labels(["label=3/a.parquet", "label=cat/a.parquet"])
    {'label=3/a.parquet': ('label', '3'), 'label=cat/a.parquet': ('label', 'cat')}
    """
    found = {name: (key, value) for name in names for key, value in parse_partitions(name) if key in LABELS}
    numbers = {name: None if value is None else parse_label(value) for name, (_, value) in found.items()}
    named = any(isinstance(number, str) for number in numbers.values())
    return {name: (key, value if named else numbers[name]) for name, (key, value) in found.items()}


def tell_oddities(splits: dict[str, Split]) -> Iterator[str]:
    """Notices of columns that are not read, of shards that are missing or too many, and of those in several folders."""
    keys = {key for name in splits for key, _ in parse_partitions(name)} - {*LABELS, "split"}
    yield from tell("columns in the folders' names are not read", sorted(keys))
    found = Counter((match[1], int(match[2])) for name in splits if (match := NUMBERED.match(name)))
    fewer = [f"{start} has {here} of {total:,}" for (start, total), here in found.items() if here < total]
    more = [f"{start} has {here} of {total:,}" for (start, total), here in found.items() if here > total]
    yield from tell("some shards are missing, by the names of the others", fewer)
    yield from tell("there are more shards than their names say, and all are read", more)
    folders: dict[Split, set[str]] = {}  # one may hold a copy of the other
    for name, split in splits.items():
        inner = "/" in name and not parse_partitions(name)
        folders.setdefault(split, set()).add(PurePosixPath(name).parts[0] + "/" if inner else "the set itself")
    parts = [f"{split} in {' and '.join(sorted(places))}" for split, places in folders.items() if len(places) > 1]
    yield from tell("shards of one split lie in several folders, and all are read", parts)
