"""Which files are the shards of a set, and which split each belongs to."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from neocog.data.shards.store import SPLIT_FOLDERS, Store, open_store
from neocog.data.sources.folder import SPLIT_NAMES
from neocog.errors import DataError, some

__all__ = ["Container", "ShardFiles", "Split", "expand", "find_shards", "is_address", "is_shard", "looks_packed"]

Container = Literal["tar", "parquet", "arrow"]
Split = Literal["all", "train", "val", "test"]
CONTAINERS: dict[str, Container] = {".tar": "tar", ".parquet": "parquet", ".arrow": "arrow"}
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
PREFIX = re.compile(r"(training|validation|train|valid|val|test)(?=[-_.\d])", re.IGNORECASE)
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")
MAX_NAMES = 100_000


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """The shards of a set in the order of its splits: their store, and split by name below it."""

    name: str
    store: Store
    splits: dict[str, Split]
    container: Container


def is_address(data: str | Path) -> bool:
    """Whether this is no plain path: an address such as s3://bucket/folder, or a pattern with braces.

    >>> is_address("shards-{000..009}.tar"), is_address("memory://set"), is_address("pictures")
    (True, True, False)
    """
    text = str(data)
    return "://" in text or (BRACES.search(text) is not None and not Path(text).exists())


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
    found = names if names is not None else [name for name in store.names() if is_shard(name)]
    if not found:
        if any(looks_packed(name) for name in store.names()):
            raise compressed(str(data))
        raise DataError(f"There are no shards at {data}. Put .tar or .parquet files there, or check the path.")
    kinds = sorted({PurePosixPath(name).suffix for name in found})
    if len(kinds) > 1 or kinds[0] not in CONTAINERS:
        raise DataError(
            f"Shards are .tar, .parquet or .arrow files, all of one kind. Received: {', '.join(kinds) or 'no suffix'}, "
            f"at {data}. Name one kind with a pattern, such as {root}/shards-{{000..009}}.tar."
        )
    label = PurePosixPath(root if names is None else found[0]).name if names is None or len(names) == 1 else ""
    name = PurePosixPath(label).stem if names else label
    return ShardFiles(name or PurePosixPath(root).name or "shards", store, by_split(found, data), CONTAINERS[kinds[0]])


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
    inner = len(path.parts) < 2 or name.startswith("/") or "://" in name or path.parts[-2].lower() in SPLIT_FOLDERS
    return path.suffix in CONTAINERS and not path.name.startswith(".") and inner


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


def by_split(names: list[str], data: str | Path) -> dict[str, Split]:
    """The split of every shard, sorted by split and then by name."""
    splits = {name: split_of(name) for name in sorted(set(names))}
    lone = [name for name, split in splits.items() if split == "all"]
    if lone and len(lone) < len(splits):
        raise DataError(
            f"Either all shards name their split (train-, val-, test-) or none does. {data} has {some(lone)} beside "
            f"{some(name for name in splits if name not in lone)}. Rename them, or move them away."
        )
    order = ("all", "train", "val", "test")
    return dict(sorted(splits.items(), key=lambda item: (order.index(item[1]), item[0])))


def split_of(name: str) -> Split:
    """The split that a shard's folder or its name's beginning tells, else all."""
    path = PurePosixPath(name)
    folder = path.parts[-2].lower() if len(path.parts) > 1 else ""
    match = PREFIX.match(path.name)
    word = folder if folder in SPLIT_NAMES else match[1].lower() if match else ""
    splits: dict[str, Split] = {"val": "val", "test": "test", "train": "train", "training": "train"}
    return splits.get(SPLIT_NAMES.get(word, word), "all")
