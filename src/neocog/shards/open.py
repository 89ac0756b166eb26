"""From a path, a pattern or an address to the source that its shards make.

The index of foreign shards is built once and kept in the user's cache: nothing is written beside the user's data.
"""

import hashlib
import itertools
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from neocog.errors import DataError, some
from neocog.files import cache_dir, file_hash, storage_errors, whole_folder, write_whole
from neocog.progress import track
from neocog.shards.build import index_shards, read_classes
from neocog.shards.index import ARRAYS, INDEX, MAX_HEADER, Index, array_name, read_header
from neocog.shards.leftovers import LISTS, SPLITS, tell_unread
from neocog.shards.names import ShardFiles, find_shards, is_address, is_shard, looks_packed
from neocog.shards.scan import Window
from neocog.shards.source import ShardSource
from neocog.shards.store import LocalStore, Store, open_store
from neocog.shards.tar import holds_payload, walk_tar

__all__ = ["STATE", "holds_shards", "open_shards", "verify", "why_no_shards"]

STATE = "neocog-pack.json"  # the state of a pack that is not finished
READING = "3"  # raised whenever the same shards are read otherwise, so that no older index in a cache is taken
CHUNK = 2**24  # bytes
NUMBERED = re.compile(r"\d{3,}\.")
DEEP, MOST = 3, 50  # levels and entries of a folder in which to look for shards further down
MAGIC = {".parquet": b"PAR1", ".arrow": b""}


def open_shards(path: Path | str) -> ShardSource:
    """The records of shards: a folder, one file, a pattern such as shards-{000..009}.tar, or an address.

    A set that we packed brings its index. For others, headers and labels are gone through once, and the index is kept
    in the user's cache. Raises DataError for shards that are damaged, unsafe, or allow no random access.
    """
    text = str(path)
    whole = "://" in text and "{" not in text and not is_shard(text) and not looks_packed(text)
    if whole or Path(text).is_dir():
        store = open_store(text)
        names = store.names()
        if INDEX in names:
            source = ShardSource(store, Index(store.path) if isinstance(store, LocalStore) else fetch_index(store))
            known = {shard.name for shard in source.header.shards}
            others = [name for name in names if is_shard(name) and name not in known]
            source.notices += tell_unread(f"shards that {INDEX} does not list are not read", others)
            return source
        if STATE in names:
            raise DataError(f"{path} is packed only in part.", fix="Call `neocog pack` with the same settings again.")
    if is_hub_cache(Path(text)):
        fix = f"Name a folder of one of its snapshots: {some(find_shards_below(Path(text)))}."
        raise DataError(f"{path} is a repository in the cache of Hugging Face's hub.", fix=fix)
    files = find_shards(path)
    return ShardSource(files.store, load_index(files))


def is_hub_cache(place: Path) -> bool:
    """Whether Hugging Face's hub keeps a repository here: files by hash, and folders of links to them."""
    return all((place / name).is_dir() for name in ("snapshots", "blobs", "refs")) and bool(find_shards_below(place))


def find_shards_below(place: Path) -> list[str]:
    """Folders a few levels deeper that hold shards; of large folders only the beginning is read."""
    found, folders = list[str](), [place]
    for _ in range(DEEP):
        inside = [entry for folder in folders for entry in itertools.islice(folder.iterdir(), MOST)]
        folders = sorted(entry for entry in inside if not entry.name.startswith(".") and entry.is_dir())[:MOST]
        found += [str(f) for f in folders if any(map(is_shard, (e.name for e in itertools.islice(f.iterdir(), MOST))))]
    return found


def why_no_shards(path: Path) -> str | None:
    """Advice for a folder that holds shards only further down, as a repository of the hub does; None for others."""
    if path.name in LISTS and (found := [name for name in LocalStore(path.parent).names() if is_shard(name)]):
        rule = "A data set that `datasets` saved is named by its folder."
        return f"{rule} {path} only describes {some(found)}. Name {path.parent}."
    if not (path.is_dir() and (found := find_shards_below(path))):
        return None
    place = f"{path} holds shards only in {some(found)}"
    return f"Shards lie in the named folder, or in train, val and test below it. {place}. Name one of these folders."


def holds_shards(path: Path | str) -> bool:
    """Whether shards lie here, by names and first bytes: a folder, one file, a pattern, or an address of such."""
    text = str(path)
    if is_address(text):
        return True
    place = Path(text)
    if place.is_file():
        return (is_shard(place.name) and begins_like_shard(place)) or looks_packed(text)
    if not place.is_dir():
        return False
    names = LocalStore(place).names()
    if {INDEX, STATE, SPLITS} & set(names) or is_hub_cache(place):
        return True
    shards = [name for name in names if is_shard(name)]
    if shards:
        return begins_like_shard(place / shards[0])
    packed = [name for name in names if looks_packed(name) and NUMBERED.search(name)]
    return bool(packed) and all(looks_packed(name) for name in names)


def begins_like_shard(path: Path) -> bool:
    """Whether a file begins like a shard; a tar of folders, as downloads are, doesn't begin with a record."""
    if path.suffix != ".tar":
        with path.open("rb") as file:
            return file.read(4).startswith(MAGIC[path.suffix])
    store, name = LocalStore(path.parent), path.name
    try:
        first = list(itertools.islice(walk_tar(Window(store, name).read, store.stat(name).size, name), 4))
    except DataError:
        return False
    return any(holds_payload(member.name) for member in first)


def load_index(files: ShardFiles) -> Index:
    """The index of shards that bring none: from the cache if they are unchanged, else built now."""
    parts = [READING, files.store.root if "://" in files.store.root else str(Path(files.store.root).resolve())]
    parts += files.notices
    for name, split in (files.splits | files.passed | dict.fromkeys(files.aside, "aside")).items():
        stat = files.store.stat(name)
        parts.append(f"{name} {split} {stat.size} {stat.stamp}")
    parts += read_classes(files.store) or ()
    return get_or_make_index(parts, lambda folder: index_shards(files, folder))


def fetch_index(store: Store) -> Index:
    """A packed set's own index, copied from its address into the cache, because its rows are read one by one."""
    content = store.read(INDEX, 0, MAX_HEADER)
    read_header(content, f"{store.root}/{INDEX}")

    def fetch(folder: Path) -> None:
        for name in map(array_name, ARRAYS):
            place, size = 0, store.stat(name).size
            with storage_errors(folder / name), (folder / name).open("wb") as file:
                while place < size and (piece := store.read(name, place, min(CHUNK, size - place))):
                    place += file.write(piece)
        write_whole(folder / INDEX, content)

    return get_or_make_index([store.root, content.hex()], fetch)


def get_or_make_index(parts: Sequence[str], make: Callable[[Path], object]) -> Index:
    """The index that these parts tell from others, from the user's cache or made; of two made at once, one stays."""
    digest = hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()[:32]
    folder = cache_dir("indexes", digest)
    if (folder / INDEX).is_file():
        with suppress(DataError):  # damaged
            index = Index(folder)
            index.check(*ARRAYS)
            return index
    shutil.rmtree(folder, ignore_errors=True)
    with whole_folder(folder) as new:
        make(new)
    return Index(folder)


def verify(folder: Path | str) -> int:
    """Read every shard of a packed set and compare its SHA-256; returns the number of records.

    Raises DataError that names all shards that differ, or if the set brings no hashes.
    """
    source, root = open_shards(folder), Path(folder)
    source.index.check(*ARRAYS)
    shards = source.header.shards
    if not source.header.packed:
        raise DataError(f"Only a set made by `neocog pack` has hashes to compare. {folder} has none.", fix="Pack it.")
    damaged = [shard.name for shard in track(shards, "verifying") if file_hash(root / shard.name) != shard.sha256]
    if damaged:
        rule = f"{len(damaged)} of {len(shards)} shards of {folder} are damaged: {some(damaged, 10)}."
        rule += " Their SHA-256 is not the one in the index."
        raise DataError(rule, fix="Fetch them again, or pack the set again.")
    return len(source)
