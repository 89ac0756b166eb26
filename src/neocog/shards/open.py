"""From a path, a pattern or an address to the source that its shards make."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from neocog.errors import DataError, some
from neocog.shards.build import cached_index, fetched_index
from neocog.shards.dotted import holds_payload
from neocog.shards.header import INDEX
from neocog.shards.index import Index
from neocog.shards.leftovers import LISTS, SPLITS
from neocog.shards.names import find_shards, is_address, is_shard, looks_packed
from neocog.shards.scan import first_names
from neocog.shards.source import ShardSource
from neocog.shards.store import LocalStore, Store, open_store

__all__ = ["STATE", "holds_shards", "open_shards", "why_no_shards"]

STATE = "neocog-pack.json"
"""What a pack that is not finished knows of itself."""
NUMBERED = re.compile(r"\d{3,}\.")
DEEP, MOST = 3, 50
"""Levels and entries of a folder that are looked at for shards further down."""
MAGIC = {".parquet": b"PAR1", ".arrow": b""}


def open_shards(path: Path | str) -> ShardSource:
    """The records of shards: a folder, one file, a pattern such as shards-{000..009}.tar, or an address.

    A set that we packed brings its index. For others, headers and labels are gone through once, and the index is kept
    in the user's cache. Raises DataError for what is damaged, unsafe, or can't be read record by record.
    """
    text = str(path)
    whole = "://" in text and "{" not in text and not is_shard(text) and not looks_packed(text)
    if whole or Path(text).is_dir():
        store = open_store(text)
        names = store.names()
        if INDEX in names:
            return packed_source(store, names)
        if STATE in names:
            raise DataError(
                f"{path} is packed only in part. Call `neocog pack` with the same settings again to finish it."
            )
    if is_hub_cache(Path(text)):
        raise DataError(
            f"{path} is a repository in the cache of Hugging Face's hub. Name a folder of one of its snapshots: "
            f"{some(shards_below(Path(text)))}."
        )
    files = find_shards(path)
    return ShardSource(files.store, cached_index(files))


def packed_source(store: Store, names: Sequence[str]) -> ShardSource:
    """A set with its index; shards that lie beside it without being in it are named."""
    source = ShardSource(store, Index(store.path) if isinstance(store, LocalStore) else fetched_index(store))
    known = {shard.name for shard in source.header.shards}
    others = [name for name in names if is_shard(name) and name not in known]
    if others:
        source.notices += (f"shards that {INDEX} does not list are not read: {len(others):,} ({some(others)})",)
    return source


def is_hub_cache(place: Path) -> bool:
    """Whether this is where Hugging Face's hub keeps a repository: files by hash, and folders of links to them."""
    return all((place / name).is_dir() for name in ("snapshots", "blobs", "refs")) and bool(shards_below(place))


def shards_below(place: Path) -> list[str]:
    """Folders a few levels deeper that hold shards; none of the larger folders is gone through."""
    found: list[str] = []
    folders = [place]
    for _ in range(DEEP):
        inside = [entry for folder in folders for entry in itertools.islice(folder.iterdir(), MOST)]
        folders = sorted(entry for entry in inside if not entry.name.startswith(".") and entry.is_dir())[:MOST]
        found += [str(f) for f in folders if any(map(is_shard, (e.name for e in itertools.islice(f.iterdir(), MOST))))]
    return found


def why_no_shards(path: Path) -> str | None:
    """What to do with a folder that holds shards only further down; None where there are none.

    As the repositories of Hugging Face's hub are, with a folder for each configuration.
    """
    if path.name in LISTS and (found := [name for name in LocalStore(path.parent).names() if is_shard(name)]):
        return (
            f"A data set that `datasets` saved is named by its folder. Received: {path}, which only describes "
            f"{some(found)}. Name {path.parent}."
        )
    found = shards_below(path) if path.is_dir() else []
    if not found:
        return None
    return (
        f"Shards lie in the folder that is named, or in train, val and test below it. Received: {path}, which "
        f"holds some only in {some(found)}. Name one of these folders."
    )


def holds_shards(path: Path | str) -> bool:
    """Whether shards lie here, by names and first bytes: a folder, one file, a pattern, or an address of such."""
    text = str(path)
    if is_address(text):
        return True
    place = Path(text)
    if place.is_file():
        return (is_shard(place.name) and begins_well(place)) or looks_packed(text)
    if not place.is_dir():
        return False
    names = LocalStore(place).names()
    if {INDEX, STATE, SPLITS} & set(names) or is_hub_cache(place):
        return True
    shards = [name for name in names if is_shard(name)]
    if shards:
        return begins_well(place / shards[0])
    packed = [name for name in names if looks_packed(name) and NUMBERED.search(name)]
    return bool(packed) and all(looks_packed(name) for name in names)


def begins_well(path: Path) -> bool:
    """Whether a file begins as a shard does; a tar of folders, as downloads are, holds no record there."""
    if path.suffix != ".tar":
        with path.open("rb") as file:
            return file.read(4).startswith(MAGIC[path.suffix])
    found = first_names(LocalStore(path.parent), path.name)
    return any(map(holds_payload, found))
