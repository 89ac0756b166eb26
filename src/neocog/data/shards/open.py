"""From a path, a pattern or an address to the source that its shards make."""

import re
from pathlib import Path

from neocog.data.shards.build import cached_index, fetched_index
from neocog.data.shards.dotted import holds_payload
from neocog.data.shards.header import INDEX
from neocog.data.shards.index import Index
from neocog.data.shards.names import find_shards, is_address, is_shard, looks_packed
from neocog.data.shards.scan import first_names
from neocog.data.shards.source import ShardSource
from neocog.data.shards.store import LocalStore, open_store
from neocog.errors import DataError

__all__ = ["STATE", "holds_shards", "open_shards"]

STATE = "neocog-pack.json"
"""What a pack that is not finished knows of itself."""
NUMBERED = re.compile(r"\d{3,}\.")
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
            return ShardSource(store, Index(Path(text)) if isinstance(store, LocalStore) else fetched_index(store))
        if STATE in names:
            raise DataError(
                f"{path} is packed only in part. Call `neocog pack` with the same settings again to finish it."
            )
    files = find_shards(path)
    return ShardSource(files.store, cached_index(files))


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
    if INDEX in names or STATE in names:
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
