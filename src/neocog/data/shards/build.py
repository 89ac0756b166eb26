"""Building an index from shards, and keeping it in the user's cache: nothing is written beside the user's data."""

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

from neocog.data.record import absent_classes
from neocog.data.shards.contents import MAX_TEXT, read_text
from neocog.data.shards.header import INDEX, MAX_HEADER, Header, Shard, read_header
from neocog.data.shards.index import ARRAYS, Index, IndexWriter, array_name
from neocog.data.shards.labels import Labels
from neocog.data.shards.names import ShardFiles
from neocog.data.shards.scan import ColumnScanner, Scanner, TarScanner
from neocog.data.shards.store import Store
from neocog.errors import DataError
from neocog.files import storage_errors, write_whole
from neocog.progress import track

__all__ = ["CLASSES", "cached_index", "fetched_index", "index_shards"]

CLASSES = "classes.txt"
CHUNK = 2**24


def index_shards(files: ShardFiles, folder: Path, *, packed: Header | None = None) -> Header:
    """Write the index of these shards into a folder, and give its header.

    `packed` says of a set that we packed what its shards do not: task, classes, hashes. Raises DataError for shards
    that are damaged, for records without payload or class, and for keys that are not unique.
    """
    scanner = scanner_of(files, packed)
    known = packed.classes if packed else listed_classes(files.store)
    labels: Labels | None = Labels(known) if known is not None else None
    shards, hashes = [], {shard.name: shard.sha256 for shard in packed.shards} if packed else {}
    with IndexWriter(folder) as writer:
        for number, (name, split) in enumerate(track(files.splits.items(), "indexing shards", len(files.splits))):
            before = writer.count
            for found in scanner.scan(name):
                labels = labels or Labels(scanner.classes)
                label = -1 if packed and found.label == -1 else labels.number(found.label, split, found.where)
                writer.add(found.key, number, found.offset, found.length, label)
                if found.several is not None:
                    writer.add_several(found.several)
            shard = Shard(
                name=name, split=split, size=files.store.stat(name).size, records=writer.count - before,
                groups=scanner.groups, sha256=hashes.get(name),
            )  # fmt: skip
            shards.append(shard)
        if labels is None or not writer.count:
            raise DataError(f"A set needs at least one record. The shards at {files.store.root} hold none.")
        header = header_of(files, scanner, packed)
        classes, mapping = labels.finish()
        seen = {split: numbers if mapping is None else mapping[numbers] for split, numbers in labels.seen.items()}
        notices = absent_classes(classes, seen) if header.task == "classification" else ()
        return writer.finish(replace(header, shards=tuple(shards), classes=classes, notices=notices), mapping)


def scanner_of(files: ShardFiles, packed: Header | None) -> Scanner:
    if files.container == "tar":
        return TarScanner(files.store, packed)
    return ColumnScanner(files.store, packed, files.container)


def header_of(files: ShardFiles, scanner: Scanner, packed: Header | None) -> Header:
    """What is known of the set, without its shards and classes."""
    columns = scanner.columns
    chosen = {"payload": columns.payload, "label": columns.label} if columns else {"payload": None, "label": None}
    if packed:
        return replace(packed, **chosen)
    modality = scanner.modality or "image"
    return Header(
        name=files.name, container=files.container, modality=modality, task="classification", classes=(), shards=(),
        arrays={}, **chosen,
    )  # fmt: skip


def listed_classes(store: Store) -> tuple[str, ...] | None:
    """The lines of classes.txt beside the shards, where there is one."""
    if CLASSES not in store.names():
        return None
    text = read_text(store.read(CLASSES, 0, MAX_TEXT), f"{store.root}/{CLASSES}")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def cached_index(files: ShardFiles) -> Index:
    """The index of shards that bring none: from the cache, where they are as they were, else made now."""
    parts = [files.store.root if "://" in files.store.root else str(Path(files.store.root).resolve())]
    for name, split in files.splits.items():
        stat = files.store.stat(name)
        parts.append(f"{name} {split} {stat.size} {stat.stamp}")
    parts += listed_classes(files.store) or ()
    folder = cache_folder() / digest_of(parts)
    found = kept_index(folder)
    if found is not None:
        return found
    with coming(folder) as new:
        index_shards(files, new)
    return Index(folder)


def fetched_index(store: Store) -> Index:
    """A packed set's own index, brought from afar into the cache, for its rows are read one by one."""
    content = store.read(INDEX, 0, MAX_HEADER)
    read_header(content, f"{store.root}/{INDEX}")
    folder = cache_folder() / digest_of([store.root, content.hex()])
    found = kept_index(folder)
    if found is not None:
        return found
    with coming(folder) as new:
        for kind in ARRAYS:
            fetch_file(store, array_name(kind), new)
        write_whole(new / INDEX, content)
    return Index(folder)


def fetch_file(store: Store, name: str, folder: Path) -> None:
    place, size = 0, store.stat(name).size
    with storage_errors(folder / name), (folder / name).open("wb") as file:
        while place < size and (piece := store.read(name, place, min(CHUNK, size - place))):
            file.write(piece)
            place += len(piece)


def kept_index(folder: Path) -> Index | None:
    """The index in the cache, unless there is none or it has been damaged."""
    try:
        return Index(folder) if (folder / INDEX).is_file() else None
    except DataError:
        return None


class coming:  # noqa: N801 - a context manager, used as a word
    """A folder of the cache that appears when it is complete; of two that are made at once, one stays."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.new = folder, folder.with_name(f".{folder.name}.{os.getpid()}")

    def __enter__(self) -> Path:
        with storage_errors(self.new):
            shutil.rmtree(self.new, ignore_errors=True)
            self.new.mkdir(parents=True)
        return self.new

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and kept_index(self.folder) is None:
            with storage_errors(self.folder):
                shutil.rmtree(self.folder, ignore_errors=True)
                self.new.rename(self.folder)
        shutil.rmtree(self.new, ignore_errors=True)


def cache_folder() -> Path:
    """Where indexes of foreign shards are kept: below XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "neocog" / "indexes"


def digest_of(parts: list[str]) -> str:
    text = "\n".join(parts)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]
