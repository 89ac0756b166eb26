"""Building an index from shards, and keeping it in the user's cache: nothing is written beside the user's data."""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from neocog.dataset.record import LeftOut, absent_classes, other_split
from neocog.errors import DataError, some
from neocog.files import storage_errors, write_whole
from neocog.progress import track
from neocog.shards.contents import MAX_TEXT, read_text
from neocog.shards.header import INDEX, MAX_HEADER, Header, Shard, read_header
from neocog.shards.index import ARRAYS, Index, IndexWriter, array_name
from neocog.shards.labels import Labels, Unlabelled
from neocog.shards.leftovers import counted
from neocog.shards.names import ShardFiles, Split
from neocog.shards.scan import ColumnScanner, Found, Scanner, TarScanner
from neocog.shards.store import Store

__all__ = ["CLASSES", "cached_index", "fetched_index", "index_shards"]

CLASSES = "classes.txt"
READING = "3"
"""Raised whenever the same shards are read otherwise than before, so that no older index in a cache is taken."""
MINUS = (
    "If it stands for a hidden label, remove these records, or give the classes names; else number the classes anew."
)
CHUNK = 2**24


def index_shards(files: ShardFiles, folder: Path, *, packed: Header | None = None) -> Header:
    """Write the index of these shards into a folder, and give its header.

    `packed` says of a set that we packed what its shards do not: task, classes, hashes. Raises DataError for shards
    that are damaged, for records without payload or class, and for keys that are not unique.
    """
    with IndexWriter(folder) as writer:
        indexing = Indexing(files, writer, packed)
        for name, split in track(files.splits.items(), "indexing shards", len(files.splits)):
            indexing.add_shard(name, split)
        return indexing.finish()


class Indexing:
    """One index that is being written: the shards so far, their labels, and the records that have none."""

    def __init__(self, files: ShardFiles, writer: IndexWriter, packed: Header | None) -> None:
        self.files, self.writer, self.packed = files, writer, packed
        self.scanner = TarScanner(files, packed) if files.container == "tar" else ColumnScanner(files, packed)
        known = packed.classes if packed else listed_classes(files.store)
        self.listed = known is not None
        self.labels: Labels | None = Labels(known, "places" if packed else "lines") if known is not None else None
        self.unlabelled = Unlabelled()
        self.hashes = {shard.name: shard.sha256 for shard in packed.shards} if packed else {}
        self.shards: list[Shard] = []

    def add_shard(self, name: str, split: Split) -> None:
        """The records of one shard; a shard in which no record has a label is left out."""
        before, missing = self.writer.count, self.unlabelled.counts[split]
        groups: Counter[int] = Counter()
        for found in self.scanner.scan(name, split):
            if self.add(found, split) and self.scanner.grouped:
                groups[found.offset] += 1
        if self.writer.count == before and self.unlabelled.counts[split] > missing:
            return
        shard = Shard(
            name=name, split=split, size=self.files.store.stat(name).size, records=self.writer.count - before,
            groups=tuple(groups.values()), sha256=self.hashes.get(name),
        )  # fmt: skip
        self.shards.append(shard)

    def add(self, found: Found, split: Split) -> bool:
        """Whether a record has a label, with which it is written."""
        minus = found.label == -1 and self.packed is None
        if found.label is None or minus:
            unclear = minus and not self.listed and split in ("all", "train")  # where -1 could be one of the classes
            fault = f"Labels number the classes from 0. Received: -1, in {found.where}. {MINUS}"
            self.unlabelled.add(split, fault if unclear else found.fault)
            return False
        self.unlabelled.add_labelled(split)
        self.labels = self.labels or Labels(self.scanner.classes)
        label = -1 if found.label == -1 else self.labels.number(found.label, split, found.where)
        self.writer.add(found.key, len(self.shards), found.offset, found.length, label)
        if found.several is not None:
            self.writer.add_several(found.several)
        return True

    def finish(self) -> Header:
        """Complete the index. Raises DataError where there are no records, or none that can be trained on."""
        root = self.files.store.root
        left_out = (*self.unlabelled.notices(root), *other_splits(self.files, self.scanner))
        if self.labels is None or not self.writer.count:
            raise DataError(f"A set needs at least one record. The shards at {root} hold none.")
        header = header_of(self.files, self.scanner, self.packed)
        classes, mapping = self.labels.finish()
        seen = {split: n if mapping is None else mapping[n] for split, n in self.labels.seen.items()}
        notices = absent_classes(classes, seen) if header.task == "classification" else ()
        if header.unlabelled:
            notices += (f"the set that was packed had no labels in {some(header.unlabelled)}",)
        header = replace(
            header,
            shards=tuple(self.shards),
            classes=classes,
            notices=(*self.files.notices, *self.scanner.notices(), *self.labels.notices, *notices),
            left_out=tuple((str(notice), notice.num_samples) for notice in left_out),
            unlabelled=self.unlabelled.hidden or header.unlabelled,
        )
        return self.writer.finish(header, mapping)


def other_splits(files: ShardFiles, scanner: Scanner) -> Iterator[LeftOut]:
    """A sentence on each split that is no train, val or test, with the number of its records."""
    for split in sorted(set(files.passed.values())):
        count = sum(scanner.count(name) for name, called in files.passed.items() if called == split)
        yield other_split(split, count)
    if files.aside:
        said = f"shards in folders that are not called train, val or test are not read: {counted(files.aside)}"
        try:
            count = sum(scanner.count(name) for name in files.aside)
        except DataError as error:  # what is not read need not be whole
            yield LeftOut(f"{said}; their records can't be counted: {error}", 0)
        else:
            yield LeftOut(f"{said}, with {count:,} records", count)


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
    parts = [READING, files.store.root if "://" in files.store.root else str(Path(files.store.root).resolve())]
    parts += files.notices
    for name, split in (files.splits | files.passed | dict.fromkeys(files.aside, "aside")).items():
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
