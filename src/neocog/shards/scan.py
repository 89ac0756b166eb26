"""Going through a shard once: labels are read, payloads are skipped."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.labels import blank_label, cell_label
from neocog.dataset.record import Modality
from neocog.errors import DataError, some
from neocog.shards.columns import KEY, ColumnChoice, ColumnFile, choose_columns
from neocog.shards.contents import MAX_TEXT, find_modality, find_payload, missing_label_error, read_label, read_target
from neocog.shards.index import ROWS, Header
from neocog.shards.leftovers import tell
from neocog.shards.names import ShardFiles, Split
from neocog.shards.store import Store
from neocog.shards.tar import Read, TarRecord, group_members, read_dotted, walk_tar

__all__ = ["ColumnScanner", "ScannedRecord", "TarScanner", "Window", "member_key", "read_tar_records", "record_key"]


class ScannedRecord(NamedTuple):
    """A record as a scan meets it: its key, its place in the shard, its class by number or name."""

    key: str
    offset: int
    length: int
    label: int | str | None  # None if the record has no label; -1 if a packed record has no class of its own
    where: str
    fault: DataError | None = None  # an error for a record without a label, unless none of its split has one
    row: NDArray[Any] | None = None  # (classes,), if a record has several labels, or numbers


class Window:
    """A file gone through from its beginning: a block that is read for a header often holds the label, too."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self.start, self.bytes = 0, b""

    def read(self, offset: int, length: int) -> bytes:
        place = offset - self.start
        if place < 0 or place + length > len(self.bytes):
            self.start, place = offset, 0
            self.bytes = self.store.read(self.name, offset, max(length, self.store.chunk))
        return self.bytes[place : place + length]


def read_tar_records(store: Store, name: str) -> Iterator[tuple[TarRecord, Read]]:
    """The records of a tar from its beginning, each with a function that reads its members."""
    window, where = Window(store, name), f"{store.root}/{name}"
    for record in group_members(walk_tar(window.read, store.stat(name).size, where), where):
        yield record, window.read


def small_members(record: TarRecord, read: Read, where: str) -> Callable[[str], bytes]:
    def content(extension: str) -> bytes:
        member = record.members[extension]
        if member.size > MAX_TEXT:
            rule = f"A label, or an array that tells its kind, has at most {MAX_TEXT:,} bytes."
            raise DataError(rule, received=f"{member.size:,}", where=f"{where}.{extension}", fix="Shorten it.")
        return read(member.offset, member.size)

    return content


class TarScanner:
    """Reads headers and labels of tar shards, and keeps what it learns of the set. `packed` describes one of ours."""

    columns: ColumnChoice | None = None
    classes: tuple[str, ...] | None = None
    grouped = False  # whether a record's offset is the number of its row group

    def __init__(self, files: ShardFiles, packed: Header | None) -> None:
        self.files, self.store, self.packed = files, files.store, packed
        self.modality: Modality | None = packed.modality if packed else None
        self.examples: dict[str, str] = {}
        self.dotted, self.unread = Counter[str](), Counter[str]()

    def scan(self, name: str, split: Split) -> Iterator[ScannedRecord]:
        for whole, read in read_tar_records(self.store, name):
            for record in self.records(whole, name):
                where, members = f"{self.store.root}/{name}: {record.key}", record.members
                small = small_members(record, read, where)
                self.check_payload(find_payload(members, where), small, where)
                key, start = record_key(name, record.key, packed=self.packed is not None), record.start
                label: int | str | None = -1 if self.packed else None
                fault = row = None
                holders = members.keys() & {"cls", "json"}
                if self.packed and self.packed.task in ROWS:
                    row = np.asarray(read_target(self.packed.task, -1, len(self.packed.classes), small, where))
                elif name in self.files.labels:
                    label = check_partition(self.files.labels[name], holders, where)
                elif "cls" in members or (holders and not self.packed):
                    label = read_label(members, small, where)
                elif not self.packed:
                    fault = missing_label_error(members, where)
                yield ScannedRecord(key, start, record.stop - start, label, where, fault, row)

    def records(self, record: TarRecord, name: str) -> tuple[TarRecord, ...]:
        """The records of one key: one, unless names hold further dots."""
        if self.packed:
            return (record,)
        reading = read_dotted(record, f"{self.store.root}/{name}")
        self.unread.update(reading.unread)
        if reading.rule != "first dot":
            self.dotted[reading.rule] += len(reading.records)
            first = reading.records[0]
            self.examples.setdefault(reading.rule, f"{next(iter(first.members.values())).name} has the key {first.key}")
        return reading.records

    def count(self, name: str) -> int:
        """The number of records in a shard that is not indexed."""
        return sum(len(self.records(record, name)) for record, _ in read_tar_records(self.store, name))

    def notices(self) -> tuple[str, ...]:
        ways = {"last dot": "keys end at the last dot of the members' names, and not at the first"}
        ways["last suffix"] = "members are known by their last suffix"
        found = [f"{way}: {self.examples[k]}, as in {self.dotted[k]:,}" for k, way in ways.items() if self.dotted[k]]
        kinds = [f"{extension} ({count:,})" for extension, count in sorted(self.unread.items())]
        return (*found, *tell("members beside a record's payload are not read", kinds))

    def check_payload(self, extension: str, small: Callable[[str], bytes], where: str) -> None:
        """Raises DataError if records are of several kinds."""
        if self.packed or (self.modality is not None and extension == "npy"):
            return
        modality = find_modality(extension, small, where)
        self.modality = self.modality or modality
        if modality != self.modality:
            received = f"{extension}, which is {modality}; those before are {self.modality}"
            rule, fix = "A set holds records of one kind.", "Give each kind a folder of its own."
            raise DataError(rule, received=received, where=where, fix=fix)


class ColumnScanner:
    """Reads the labels of Parquet and Arrow shards, and the keys of those that we packed."""

    grouped = True

    def __init__(self, files: ShardFiles, packed: Header | None) -> None:
        self.files, self.store, self.packed, self.container = files, files.store, packed, files.container
        self.columns: ColumnChoice | None = None
        self.modality: Modality | None = None
        self.classes: tuple[str, ...] | None = None
        self.reordered: list[str] = []

    def scan(self, name: str, split: Split) -> Iterator[ScannedRecord]:
        file = ColumnFile(self.store, name, self.container)
        partition = self.files.labels.get(name)
        columns = choose_columns(file, labelled=partition is None and split in ("all", "train"))
        if self.columns is None:
            self.columns, self.modality, self.classes = columns, columns.modality, columns.classes
        if (columns.payload, columns.modality) != (self.columns.payload, self.columns.modality):
            raise self.differing_columns(columns, file)
        wanted = [c for c in (columns.label, KEY if self.packed else None) if c is not None]
        fault = None if columns.label or partition else DataError(f"{file.where} has no column of labels.")
        # If classes have names, `datasets` writes -1 for a hidden label.
        named = self.packed is None and (columns.classes or self.columns.classes) is not None
        matched: dict[int, int] | None = None
        row = 0
        for number, rows in enumerate(file.groups):
            values = file.group(number, wanted) if wanted else {}
            for place in range(rows):
                where, label = f"{file.where}, row {row}", None
                key = str(values[KEY][place]) if self.packed else record_key(name, str(row), packed=False)
                if partition:
                    label = check_partition(partition, (columns.label,) if columns.label else (), where)
                elif columns.label is not None:
                    value = values[columns.label][place]
                    blank = blank_label(value, where)
                    fault = DataError(blank) if blank else None
                    label = None if blank else cell_label(value, where)
                    label = None if label == -1 and named else label
                    if label is not None:
                        matched = self.match(columns, file) if matched is None else matched
                        label = matched.get(label, label) if isinstance(label, int) else label
                yield ScannedRecord(key, number, place, label, where, fault)
                row += 1

    def match(self, columns: ColumnChoice, file: ColumnFile) -> dict[int, int]:
        """The class of each of a file's numbers: classes are known by their names, whose order may differ."""
        assert self.columns is not None
        own, first = columns.classes, self.columns.classes
        if self.columns.label is None:  # of a test split without labels
            self.columns, self.classes, first = columns, own, own
        if columns.label != self.columns.label or sorted(own or ()) != sorted(first or ()):
            raise self.differing_columns(columns, file)
        if own is None or first is None or own == first or len(set(own)) < len(own):
            return {}
        if file.where not in self.reordered:
            self.reordered.append(file.where)
        return {k: first.index(name) for k, name in enumerate(own)}

    def differing_columns(self, columns: ColumnChoice, file: ColumnFile) -> DataError:
        shown = []
        for choice in (columns, self.columns or columns):
            classes = f" with the classes {some(choice.classes)}" if choice.classes else ""
            shown.append(f"{choice.payload}, {choice.label or 'no label'}{classes}")
        rule, fix = "All shards of a set have the same columns and classes.", "Give it a folder of its own."
        return DataError(rule, received="; those before: ".join(shown), where=file.where, fix=fix)

    def count(self, name: str) -> int:
        return sum(ColumnFile(self.store, name, self.container).groups)

    def notices(self) -> tuple[str, ...]:
        return tell("classes are matched by name: these files number them in another order", self.reordered)


def check_partition(partition: tuple[str, int | str | None], others: Collection[str], where: str) -> int | str | None:
    """The label in a folder's name. Raises DataError if the record has `others`, too."""
    if others:
        received = f"{partition[0]}={partition[1]} in its folder's name, and one in {some(sorted(others))}"
        raise DataError("A record has one label.", received=received, where=where, fix="Remove one of them.")
    return partition[1]


def record_key(name: str, key: str, *, packed: bool) -> str:
    """A record's key from its name in a tar, or its row; in a set that we packed, the key that it had before."""
    place = name.removesuffix(PurePosixPath(name).suffix)
    return unquote(key, errors="surrogateescape") if packed else f"{place}/{key}"


def member_key(key: str) -> str:
    """A key as it is written in a tar, where the first dot ends it; `unquote` gives it back.

    >>> member_key("cats/a 1.png"), member_key("../x")
    ('cats/a 1%2Epng', '%2E%2E/x')
    """
    outer = key.startswith("/") or key.endswith("/") or "//" in key
    return quote(key, safe=" _-" if outer else "/ _-", errors="surrogateescape").replace(".", "%2E")
