"""Going through a shard once: labels are read, payloads are skipped."""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.labels import blank_label, cell_label
from neocog.dataset.record import Modality
from neocog.errors import DataError, some
from neocog.shards.columns import KEY, ColumnChoice, ColumnFile, choose_columns
from neocog.shards.contents import MAX_TEXT, find_modality, find_payload, missing_label_error, read_label, read_target
from neocog.shards.index import Header
from neocog.shards.names import ShardFiles, Split
from neocog.shards.store import Store
from neocog.shards.tar import TarRecord, group_members, read_dotted, walk_tar

__all__ = ["ColumnScanner", "ScannedRecord", "Scanner", "TarScanner", "read_first_names", "read_tar_records"]


@dataclass(frozen=True, slots=True)
class ScannedRecord:
    """A record as a scan meets it: its key, its place in the shard, its class by number or name."""

    key: str
    offset: int
    length: int
    label: int | str | None
    """None if the record has no label; -1 if a packed record has no class of its own."""
    where: str
    fault: DataError | None = None
    """An error for a record without a label, unless none of its split has one."""
    multi_hot: NDArray[np.bool_] | None = None
    """(classes,), if a record has several labels."""


Read = Callable[[int, int], bytes]


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


@dataclass(frozen=True, slots=True)
class SmallMembers:
    """The members of one record that are read while scanning, by extension."""

    record: TarRecord
    read: Read
    where: str

    def __call__(self, extension: str) -> bytes:
        member = self.record.members[extension]
        if member.size > MAX_TEXT:
            rule = f"A label, or an array that tells its kind, has at most {MAX_TEXT:,} bytes."
            where = f"{self.where}.{extension}"
            raise DataError(rule, received=f"{member.size:,}", where=where, fix="Shorten it.")
        return self.read(member.offset, member.size)


class TarScanner:
    """Reads headers and labels of tar shards. Of a set that we packed, `packed` is what is known.

    What it has learnt of the set is in its attributes.
    """

    columns: ColumnChoice | None = None
    classes: tuple[str, ...] | None = None
    grouped = False
    """Whether a record's offset is the number of its row group."""

    def __init__(self, files: ShardFiles, packed: Header | None) -> None:
        self.files, self.store, self.packed = files, files.store, packed
        self.modality: Modality | None = packed.modality if packed else None
        self.dotted: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.unread: Counter[str] = Counter()

    def scan(self, name: str, split: Split) -> Iterator[ScannedRecord]:
        for whole, read in read_tar_records(self.store, name):
            for record in self.records(whole, name):
                where = f"{self.store.root}/{name}: {record.key}"
                small = SmallMembers(record, read, where)
                self.check_payload(find_payload(record.members, where), small, where)
                start, length = record.start, record.stop - record.start
                if self.packed:
                    label, multi_hot = read_packed_label(self.packed, record, small, where)
                    key = unquote(record.key, errors="surrogateescape")
                    yield ScannedRecord(key, start, length, label, where, multi_hot=multi_hot)
                else:
                    named, fault = self.read_label(name, record, small, where)
                    yield ScannedRecord(f"{strip_suffix(name)}/{record.key}", start, length, named, where, fault)

    def read_label(
        self, name: str, record: TarRecord, small: SmallMembers, where: str
    ) -> tuple[int | str | None, DataError | None]:
        """A record's label; or none, and the error, if no member can hold one."""
        holders = record.members.keys() & {"cls", "json"}
        if name in self.files.labels:
            return check_partition(self.files.labels[name], holders, where), None
        if holders:
            return read_label(record.members, small, where), None
        return None, missing_label_error(record.members, where)

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
        """How the shards were read, for the user."""
        ways = {
            "last dot": "keys end at the last dot of the members' names, and not at the first",
            "last suffix": "members are known by their last suffix",
        }
        found = [f"{way}: {self.examples[k]}, as in {self.dotted[k]:,}" for k, way in ways.items() if self.dotted[k]]
        if self.unread:
            kinds = some(f"{extension} ({count:,})" for extension, count in sorted(self.unread.items()))
            found.append(f"members beside a record's payload are not read: {kinds}")
        return tuple(found)

    def check_payload(self, extension: str, small: SmallMembers, where: str) -> None:
        """Raises DataError if records are of several kinds."""
        if self.packed or (self.modality is not None and extension == "npy"):
            return
        modality = find_modality(extension, small, where)
        self.modality = self.modality or modality
        if modality != self.modality:
            received = f"{extension}, which is {modality}; those before are {self.modality}"
            fix = "Give each kind a folder of its own."
            raise DataError("A set holds records of one kind.", received=received, where=where, fix=fix)


def read_packed_label(
    packed: Header, record: TarRecord, small: SmallMembers, where: str
) -> tuple[int | str, NDArray[np.bool_] | None]:
    if packed.task == "multi-label":
        row = read_target(packed.task, -1, len(packed.classes), small, where)
        assert isinstance(row, np.ndarray)
        return -1, row
    return (read_label(record.members, small, where) if "cls" in record.members else -1), None


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
        self.check_payload(columns, file)
        wanted = [c for c in (columns.label, KEY if self.packed else None) if c is not None]
        fault = None if columns.label or partition else DataError(f"{file.where} has no column of labels.")
        # If classes have names, `datasets` writes -1 for a hidden label.
        named = self.packed is None and (columns.classes or self.columns.classes) is not None
        matched: dict[int, int] | None = None
        row = 0
        for number, rows in enumerate(file.groups):
            values = file.group(number, wanted) if wanted else {}
            for place in range(rows):
                where = f"{file.where}, row {row}"
                key = str(values[KEY][place]) if self.packed else f"{strip_suffix(name)}/{row}"
                if columns.label is None:
                    label = check_partition(partition, (), where) if partition else None
                elif partition:
                    label = check_partition(partition, (columns.label,), where)
                else:
                    value = values[columns.label][place]
                    blank = blank_label(value, where)
                    fault = DataError(blank) if blank else None
                    label = None if blank else cell_label(value, where)
                    label = None if label == -1 and named else label
                if label is not None and columns.label is not None:
                    matched = self.match(columns, file) if matched is None else matched
                    label = matched.get(label, label) if isinstance(label, int) else label
                yield ScannedRecord(key, number, place, label, where, fault)
                row += 1

    def check_payload(self, columns: ColumnChoice, file: ColumnFile) -> None:
        assert self.columns is not None
        if (columns.payload, columns.modality) != (self.columns.payload, self.columns.modality):
            raise self.differing_columns(columns, file)

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
        assert self.columns is not None
        received = f"{show_columns(columns)}; those before: {show_columns(self.columns)}"
        rule, fix = "All shards of a set have the same columns and classes.", "Give it a folder of its own."
        return DataError(rule, received=received, where=file.where, fix=fix)

    def count(self, name: str) -> int:
        return sum(ColumnFile(self.store, name, self.container).groups)

    def notices(self) -> tuple[str, ...]:
        if not self.reordered:
            return ()
        return (f"classes are matched by name: these files number them in another order: {some(self.reordered)}",)


Scanner = TarScanner | ColumnScanner


def check_partition(partition: tuple[str, int | str | None], others: Collection[str], where: str) -> int | str | None:
    """The label in a folder's name. Raises DataError if the record has `others`, too."""
    if others:
        received = f"{partition[0]}={partition[1]} in its folder's name, and one in {some(sorted(others))}"
        raise DataError("A record has one label.", received=received, where=where, fix="Remove one of them.")
    return partition[1]


def show_columns(columns: ColumnChoice) -> str:
    classes = f" with the classes {some(columns.classes)}" if columns.classes else ""
    return f"{columns.payload}, {columns.label or 'no label'}{classes}"


def strip_suffix(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)


def read_first_names(store: Store, name: str, most: int = 4) -> list[str]:
    """The names of a tar's first few files; empty for other files."""
    try:
        window = Window(store, name)
        return [member.name for member in itertools.islice(walk_tar(window.read, store.stat(name).size, name), most)]
    except DataError:
        return []
