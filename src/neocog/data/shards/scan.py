"""What a shard says of its records when it is gone through once: labels are read, payloads are passed over."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from neocog.data.record import Modality
from neocog.data.shards.columns import KEY, ColumnChoice, ColumnFile, choose_columns
from neocog.data.shards.contents import MAX_TEXT, label_of, modality_of, payload_extension, read_target
from neocog.data.shards.header import Header
from neocog.data.shards.names import Container
from neocog.data.shards.store import Store
from neocog.data.shards.tar import TarRecord, group, walk
from neocog.errors import DataError

__all__ = ["ColumnScanner", "Found", "Scanner", "TarScanner", "first_names", "tar_records"]


@dataclass(frozen=True, slots=True)
class Found:
    """A record as a scan meets it: its key, its place in the shard, its class by number or name."""

    key: str
    offset: int
    length: int
    label: int | str
    """-1 where a packed record has no class of its own."""
    where: str
    several: NDArray[np.bool_] | None = None
    """Yes and no for each class, (classes,), where there are several labels."""


class Scanner(Protocol):
    """Goes through one shard after the other; what it has learnt of the set stands in its attributes."""

    modality: Modality | None
    classes: tuple[str, ...] | None
    columns: ColumnChoice | None
    groups: tuple[int, ...]
    """Records of each row group of the last shard."""

    def scan(self, name: str) -> Iterator[Found]: ...


Read = Callable[[int, int], bytes]


class Window:
    """A file gone through from its beginning: what is read together with a header often holds the label, too."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self.start, self.bytes = 0, b""

    def read(self, offset: int, length: int) -> bytes:
        place = offset - self.start
        if place < 0 or place + length > len(self.bytes):
            self.start, place = offset, 0
            self.bytes = self.store.read(self.name, offset, max(length, self.store.chunk))
        return self.bytes[place : place + length]


def tar_records(store: Store, name: str) -> Iterator[tuple[TarRecord, Read]]:
    """The records of a tar from its beginning, each with a way to read its members."""
    window, where = Window(store, name), f"{store.root}/{name}"
    for record in group(walk(window.read, store.stat(name).size, where), where):
        yield record, window.read


@dataclass(frozen=True, slots=True)
class Small:
    """The members of one record that are read while scanning, by extension."""

    record: TarRecord
    read: Read
    where: str

    def __call__(self, extension: str) -> bytes:
        member = self.record.members[extension]
        if member.size > MAX_TEXT:
            raise DataError(
                f"A label, or an array that tells its kind, has at most {MAX_TEXT:,} bytes. {self.where}.{extension} "
                f"has {member.size:,}. Shorten it."
            )
        return self.read(member.offset, member.size)


class TarScanner:
    """Reads headers and labels of tar shards; `packed` is what we know of a set that we packed."""

    columns: ColumnChoice | None = None
    classes: tuple[str, ...] | None = None
    groups: tuple[int, ...] = ()

    def __init__(self, store: Store, packed: Header | None) -> None:
        self.store, self.packed = store, packed
        self.modality: Modality | None = packed.modality if packed else None

    def scan(self, name: str) -> Iterator[Found]:
        for record, read in tar_records(self.store, name):
            where = f"{self.store.root}/{name}: {record.key}"
            small = Small(record, read, where)
            self.check_payload(payload_extension(record.members, where), small, where)
            start, length = record.start, record.stop - record.start
            if self.packed:
                label, several = self.packed_label(self.packed, record, small, where)
                yield Found(unquote(record.key, errors="surrogateescape"), start, length, label, where, several)
            else:
                yield Found(f"{stem(name)}/{record.key}", start, length, label_of(record.members, small, where), where)

    def check_payload(self, extension: str, small: Small, where: str) -> None:
        """Raises DataError where records are of several kinds."""
        if self.packed or (self.modality is not None and extension == "npy"):
            return
        modality = modality_of(extension, small, where)
        self.modality = self.modality or modality
        if modality != self.modality:
            raise DataError(
                f"A set holds records of one kind. {where} holds {extension}, which is {modality}; those before are "
                f"{self.modality}. Give each kind a folder of its own."
            )

    def packed_label(
        self, packed: Header, record: TarRecord, small: Small, where: str
    ) -> tuple[int | str, NDArray[np.bool_] | None]:
        if packed.task == "multi-label":
            row = read_target(packed.task, -1, len(packed.classes), small, where)
            assert isinstance(row, np.ndarray)
            return -1, row
        return (label_of(record.members, small, where) if "cls" in record.members else -1), None


class ColumnScanner:
    """Reads the labels of Parquet and Arrow shards, and the keys of those that we packed."""

    def __init__(self, store: Store, packed: Header | None, container: Container) -> None:
        self.store, self.packed, self.container = store, packed, container
        self.columns: ColumnChoice | None = None
        self.modality: Modality | None = None
        self.classes: tuple[str, ...] | None = None
        self.groups: tuple[int, ...] = ()

    def scan(self, name: str) -> Iterator[Found]:
        file = ColumnFile(self.store, name, self.container)
        columns = choose_columns(file)
        self.columns = self.columns or columns
        if columns != self.columns:
            raise DataError(
                f"All shards of a set have the same columns and classes. {file.where} differs from those before: "
                f"{columns.payload}, {columns.label}. Give it a folder of its own."
            )
        self.modality, self.classes, self.groups = columns.modality, columns.classes, tuple(file.groups)
        wanted, row = [columns.label, *([KEY] if self.packed else [])], 0
        for number in range(len(file.groups)):
            values = file.group(number, wanted)
            for place, label in enumerate(values[columns.label]):
                key = str(values[KEY][place]) if self.packed else f"{stem(name)}/{row}"
                yield Found(key, number, place, class_of(label, f"{file.where}, row {row}"), f"{file.where}, row {row}")
                row += 1


def class_of(label: Any, where: str) -> int | str:
    if not isinstance(label, int | str) or label == "":
        raise DataError(f"Each record needs a class, a number or a name. {where} has {label!r}. Leave that row out.")
    return label


def stem(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)


def first_names(store: Store, name: str, most: int = 4) -> list[str]:
    """The names of a tar's first few files; none of what is no tar."""
    try:
        window = Window(store, name)
        return [member.name for member in itertools.islice(walk(window.read, store.stat(name).size, name), most)]
    except DataError:
        return []
