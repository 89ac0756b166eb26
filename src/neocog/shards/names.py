"""Which files are the shards of a set, and which split each belongs to."""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote

from neocog.dataset.files import hidden
from neocog.dataset.split_names import SPLIT_NAMES, split_meant
from neocog.errors import DataError, some
from neocog.shards.contents import written_label
from neocog.shards.leftovers import CACHE, Kept, choose_files, is_leftover
from neocog.shards.store import SPLIT_FOLDERS, LocalStore, Store, open_store

__all__ = [
    "LABELS",
    "Container",
    "ShardFiles",
    "Split",
    "expand",
    "find_shards",
    "is_address",
    "is_shard",
    "looks_packed",
]

Container = Literal["tar", "parquet", "arrow"]
Split = Literal["all", "train", "val", "test"]
CONTAINERS: dict[str, Container] = {".tar": "tar", ".parquet": "parquet", ".arrow": "arrow"}
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
WORDS = "training|trn|train|validation|valid|val|vld|dev|testing|test|tst|eval|holdout"
PREFIX = re.compile(rf"({WORDS})(?=[-_.\d])", re.IGNORECASE)
WITHIN = re.compile(rf"(?<=[-_.])({WORDS})(?=[-_.\d])", re.IGNORECASE)
NUMBERED = re.compile(r"(.+)-\d{5}-of-(\d{5})")
"""How `datasets` names the shards of a split: train-00000-of-00002.parquet."""
PARTITION = re.compile(r"([^=]+)=(.+)")
"""A folder of Hive's layout, whose name is a column's name and its value in all rows below."""
LABELS = ("label", "labels", "cls")
"""What a column of classes may be called."""
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
    passed: dict[str, str] = field(default_factory=dict)
    """Shards of splits that are none of these, with the split's own name: they are counted and not read."""
    aside: tuple[str, ...] = ()
    """Shards in folders whose names are none of a split: they are counted and not read."""
    labels: dict[str, tuple[str, int | str | None]] = field(default_factory=dict)
    """Where a folder's name tells the class of all records in a shard: what it is called there, and the class."""
    notices: tuple[str, ...] = ()


def is_address(data: str | Path) -> bool:
    """Whether this is no plain path: an address such as s3://bucket/folder, or a pattern with braces or a star.

    >>> is_address("shards-{000..009}.tar"), is_address("memory://set"), is_address("pictures")
    (True, True, False)
    """
    text = str(data)
    return "://" in text or (BRACES.search(text) is not None and not Path(text).exists()) or is_glob(text)


def is_glob(text: str) -> bool:
    """Whether this is a pattern such as shards/*.arrow."""
    name = PurePosixPath(text).name
    return bool(set("*?") & set(name)) and PurePosixPath(name).suffix in CONTAINERS and not Path(text).exists()


def looks_packed(name: str) -> bool:
    """Whether a name is that of a compressed tar, in which no record can be reached by itself."""
    return name.lower().endswith(PACKED)


def find_shards(data: str | Path) -> ShardFiles:
    """The shards in a folder, of a pattern, at an address, or one file alone.

    Raises DataError where there are none, where they are of two kinds, or where some name a split and some do not.
    """
    root, names = places(str(data))
    if looks_packed(str(data)) or any(looks_packed(name) for name in names or ()):
        raise compressed(str(data))
    store = open_store(root)
    whole = names is None or is_glob(str(data))
    there = store.names() if whole else list(names or ())
    if names is None:
        kept = choose_files(store, there, [name for name in there if is_shard(name)])
    elif whole:
        kept = choose_files(store, there, [name for name in there if fnmatchcase(name, names[0]) and "/" not in name])
    else:
        left = [name for name in names if CACHE.fullmatch(name)]
        kept = Kept(tuple(names), notices=tuple(f"{name} is a file that `datasets` left as its cache" for name in left))
    if not kept.names:
        if any(looks_packed(name) for name in there):
            raise compressed(str(data))
        raise DataError(
            f"There are no shards at {data}. Put .tar or .parquet files there, or check the path."
            + "".join(f" Found: {notice}." for notice in kept.notices)
        )
    kinds = sorted({PurePosixPath(name).suffix for name in kept.names})
    if len(kinds) > 1 or kinds[0] not in CONTAINERS:
        raise DataError(
            f"Shards are .tar, .parquet or .arrow files, all of one kind. Received: {', '.join(kinds) or 'no suffix'}, "
            f"at {data}. Name one kind with a pattern, such as {root}/shards-{{000..009}}.tar."
        )
    label = PurePosixPath(root if whole else kept.names[0]).name if whole or len(kept.names) == 1 else ""
    name = (PurePosixPath(label).stem if names else label) or PurePosixPath(root).name or "shards"
    splits, passed = by_split(kept, data)
    labels = partition_labels(splits)
    aside = tuple(shards_aside(store, kinds[0], SPLIT_FOLDERS | saved_in(kept))) if names is None else ()
    notices = (*kept.notices, *unread_partitions(splits), *incomplete(splits), *spread(splits))
    return ShardFiles(name, store, splits, CONTAINERS[kinds[0]], passed, aside, labels, notices)


def saved_in(kept: Kept) -> set[str]:
    """The folders of the shards that are read, in small letters."""
    return {name.partition("/")[0].lower() for name in kept.names if "/" in name}


def shards_aside(store: Store, suffix: str, known: Collection[str]) -> Iterator[str]:
    """Shards of this kind in further folders of this machine, which were not listed. A folder may also hold a million
    pictures: of each only so many names are looked at."""
    if not isinstance(store, LocalStore):
        return
    for folder in sorted(path for path in store.path.iterdir() if path.is_dir()):
        if folder.name.lower() in known or "=" in folder.name or hidden(folder.name) or folder.name.startswith("_"):
            continue
        try:
            inside = sorted(path.name for path in itertools.islice(folder.iterdir(), MAX_LOOKED))
        except OSError:  # it belongs to somebody else
            continue
        named = [name for name in inside if name.endswith(suffix) and not is_left(name)]
        yield from (f"{folder.name}/{name}" for name in named if (folder / name).is_file())


def is_left(name: str) -> bool:
    return hidden(name) or is_leftover(name)


def compressed(data: str) -> DataError:
    return DataError(
        f"Shards must be plain tars: in a compressed one no record can be reached by itself. Received: {data}. "
        "Unpack it (gunzip FILE.tar.gz leaves FILE.tar), then open the .tar, or repack it with `neocog pack`."
    )


def places(text: str) -> tuple[str, list[str] | None]:
    """A root, and the files below it that are named; None for all that are there."""
    if BRACES.search(text) and not Path(text).exists():
        base = text[: text.index("{")].rpartition("/")[0] if "/" in text[: text.index("{")] else "."
        return base or "/", [name.removeprefix(base).lstrip("/") if base != "." else name for name in expand(text)]
    if is_shard(PurePosixPath(text).name) or looks_packed(text):
        if "://" in text or not Path(text).is_dir():
            base, _, name = text.rpartition("/")
            return base or ("/" if text.startswith("/") else "."), [name]
    elif "://" not in text and not Path(text).is_dir():
        raise DataError(f"Shards are .tar, .parquet or .arrow files, or a folder of them. Received: {text}.")
    return text, None


def is_shard(name: str) -> bool:
    """Whether this is a shard's name, in the root or in a folder that carries a split's name."""
    path = PurePosixPath(name)
    inner = len(path.parts) < 2 or name.startswith("/") or "://" in name or is_inner(path.parts[-2])
    return path.suffix in CONTAINERS and not path.name.startswith(".") and inner


def is_inner(folder: str) -> bool:
    """Whether shards may lie in a folder of this name below the set's own."""
    return folder.lower() in SPLIT_FOLDERS or PARTITION.fullmatch(folder) is not None


def expand(pattern: str) -> list[str]:
    """All names that a pattern with braces means.

    >>> expand("{train,test}-{08..10}.tar")[:3]
    ['train-08.tar', 'train-09.tar', 'train-10.tar']
    """
    parts = [
        choices(part, pattern) if place % 2 else [part] for place, part in enumerate(BRACES.split(pattern))
    ]  # the odd ones stood in braces
    count = 1
    for part in parts:
        count *= len(part)
    if count > MAX_NAMES:
        raise DataError(f"A pattern may name at most {MAX_NAMES:,} shards. {pattern} names {count:,}. Split it.")
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def choices(inner: str, pattern: str) -> list[str]:
    """What one pair of braces stands for: a range of numbers of one width, or a list."""
    bounds = RANGE.fullmatch(inner)
    if bounds is None:
        return inner.split(",")
    first, last = (int(text[:9]) for text in bounds.groups())
    if last < first or last - first >= MAX_NAMES:
        raise DataError(
            f"A range in braces goes upwards, over at most {MAX_NAMES:,} numbers, as in {{000..009}}. "
            f"Received: {pattern}."
        )
    return [str(number).zfill(len(bounds[1])) for number in range(first, last + 1)]


def by_split(kept: Kept, data: str | Path) -> tuple[dict[str, Split], dict[str, str]]:
    """The split of every shard, sorted by split and then by name; and those of splits that are none of these."""
    words = {name: kept.words.get(name, split_word(name)) for name in sorted(set(kept.names))}
    within = {name: match[1].lower() for name in words if (match := WITHIN.search(PurePosixPath(name).name))}
    if not any(words.values()) and len({split_called(word) for word in within.values()}) > 1:
        words |= within
    splits = {name: split_called(word) for name, word in words.items()}
    passed: dict[str, str] = {}
    if any(split != "all" for split in splits.values()) or kept.words:
        passed = {name: other for name in splits if splits[name] == "all" and (other := other_split(name, words[name]))}
        splits = {name: split for name, split in splits.items() if name not in passed}
    if not splits:
        raise DataError(
            f"A set has splits called {', '.join(SPLIT_NAMES)}. Received: {some(sorted(set(passed.values())), 8)}, at "
            f"{data}. Rename them, or name the folder or the files of one."
        )
    lone = [name for name, split in splits.items() if split == "all"]
    if lone and len(lone) < len(splits):
        raise DataError(
            f"Either all shards name their split (train-, val-, test-) or none does. {data} has {some(lone)} beside "
            f"{some(name for name in splits if name not in lone)}. Rename them, or move them away."
        )
    for split in ("train", "val", "test"):
        called = sorted({words[name].lower() for name in splits if splits[name] == split})
        if len(called) > 1:
            raise DataError(f"{data} can be read in two ways: two of {', '.join(called)} mean {split}. Remove one.")
    order = ("all", "train", "val", "test")
    return dict(sorted(splits.items(), key=lambda item: (order.index(item[1]), item[0]))), passed


def split_word(name: str) -> str:
    """What a shard's folder or its name's beginning calls its split; nothing where they do not."""
    path = PurePosixPath(name)
    for key, value in reversed(partitions(name)):
        if key.lower() == "split":
            return value or ""
    folder = next((part.lower() for part in reversed(path.parts[:-1]) if split_meant(part)), "")
    match = PREFIX.match(path.name)
    return folder or (match[1].lower() if match else "")


def split_called(word: str) -> Split:
    """
    >>> split_called("validation"), split_called("training"), split_called("dev"), split_called("extra")
    ('val', 'train', 'val', 'all')
    """
    splits: dict[str | None, Split] = {"val": "val", "test": "test", "train": "train"}
    return splits.get(split_meant(word), "all")


def other_split(name: str, word: str) -> str:
    """What the split of a shard is called that is no train, val or test, where it has a name."""
    match = NUMBERED.match(PurePosixPath(name).name)
    return word or (match[1] if match else "")


def partitions(name: str) -> list[tuple[str, str | None]]:
    """The columns that the folders of a shard give, with their values.

    >>> partitions("split=train/label=a%20b/part-0.parquet")
    [('split', 'train'), ('label', 'a b')]
    """
    found = [PARTITION.fullmatch(part) for part in PurePosixPath(name).parts[:-1]]
    return [(match[1], None if match[2] == NULL else unquote(match[2])) for match in found if match]


def partition_labels(names: Iterable[str]) -> dict[str, tuple[str, int | str | None]]:
    """The column and the class that the folders of a shard give to all its records: numbers where all of them are.

    >>> partition_labels(["label=3/a.parquet", "label=10/a.parquet"])
    {'label=3/a.parquet': ('label', 3), 'label=10/a.parquet': ('label', 10)}
    >>> partition_labels(["label=3/a.parquet", "label=cat/a.parquet"])
    {'label=3/a.parquet': ('label', '3'), 'label=cat/a.parquet': ('label', 'cat')}
    """
    found = {name: (key, value) for name in names for key, value in partitions(name) if key in LABELS}
    numbers = {name: None if value is None else written_label(value) for name, (_, value) in found.items()}
    named = any(isinstance(number, str) for number in numbers.values())
    return {name: (key, value if named else numbers[name]) for name, (key, value) in found.items()}


def unread_partitions(names: Iterable[str]) -> tuple[str, ...]:
    keys = sorted({key for name in names for key, _ in partitions(name) if key not in LABELS and key != "split"})
    return (f"columns that stand in the folders' names are not read: {some(keys)}",) if keys else ()


def incomplete(names: Iterable[str]) -> tuple[str, ...]:
    """A sentence on the shards that are missing, where their names say how many there are."""
    found: Counter[tuple[str, int]] = Counter()
    for name in names:
        if match := NUMBERED.match(name):
            found[match[1], int(match[2])] += 1
    fewer = [f"{start} has {here} of {total:,}" for (start, total), here in found.items() if here < total]
    more = [f"{start} has {here} of {total:,}" for (start, total), here in found.items() if here > total]
    notices = (f"some shards are missing, by the names of the others: {some(fewer)}",) if fewer else ()
    return (
        (*notices, f"there are more shards than their names say, and all are read: {some(more)}") if more else notices
    )


def spread(splits: dict[str, Split]) -> tuple[str, ...]:
    """A sentence on splits whose shards lie in several folders: one may hold a copy of the other."""
    folders: dict[Split, set[str]] = {}
    for name, split in splits.items():
        folders.setdefault(split, set()).add(
            PurePosixPath(name).parts[0] if "/" in name and not partitions(name) else ""
        )
    parts = [
        f"{split} in {' and '.join(sorted(f'{folder}/' if folder else 'the set itself' for folder in places))}"
        for split, places in folders.items()
        if len(places) > 1
    ]
    return (f"shards of one split lie in several folders, and all are read: {some(parts)}",) if parts else ()
