"""The index of a set of shards: fixed-width rows on the disk, read when they are needed and never held.

`neocog-index.json` describes the set. Beside it lie four arrays for N records: `rows` (N,) with place and label of
each, `keys` (bytes,) with all keys one after another, `starts` (N + 1,) where each key begins, and `targets` (N,), or
(N, classes) of booleans, or of numbers, of which NaN isn't known.
"""

import hashlib
import itertools
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from neocog.annotations.files import is_encodable
from neocog.dataset.record import Modality, Task, sample_ids
from neocog.errors import DataError
from neocog.files import file_hash, storage_errors, write_whole
from neocog.settings import SETTINGS
from neocog.shards.names import Split
from neocog.shards.store import Container, LocalStore

__all__ = [
    "ARRAYS", "INDEX", "MAX_HEADER", "ROWS", "Header", "Index", "IndexWriter", "Shard", "array_name", "read_header",
]  # fmt: skip

INDEX = "neocog-index.json"
MAX_HEADER = 2**28  # bytes
CHUNK = 2**20  # records
AGAIN = "Pack the set again."

Count = Annotated[int, Field(ge=0, lt=2**62)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class Shard:
    """One shard: its path below the set's root, its bytes, its records, and how many of them are read at once."""

    name: str
    split: Split
    size: Count
    records: Count
    groups: tuple[Count, ...] = ()  # records of each row group, the least that a columnar container reads
    sha256: Digest | None = None  # of the whole file, if we packed it


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class Header:
    """The set: its kind, its classes, its shards in the order of the records, and the SHA-256 of the index's arrays."""

    format: Literal["neocog-shards"] = "neocog-shards"
    version: Literal[1] = 1
    name: str
    container: Container
    modality: Modality
    task: Task
    classes: tuple[str, ...]
    shards: tuple[Shard, ...]
    arrays: dict[str, Digest]
    payload: str | None = None  # the column of the payload, of Parquet and Arrow
    label: str | None = None  # the column of the class
    channels: Annotated[tuple[str, ...], Field(exclude_if=lambda names: not names)] = ()
    """The names of the channels of signals, if they have any; earlier versions refuse them."""
    packed: bool = False  # whether we packed it, so that members carry the records' own keys
    resize: Annotated[int, Field(ge=1)] | None = None  # the short side of images when they were packed, in pixels
    notices: tuple[str, ...] = ()
    left_out: tuple[tuple[str, Count], ...] = ()  # notices of records that are not in the index, and their number
    unlabelled: tuple[Split, ...] = ()  # splits that are left out because their labels are hidden

    def __len__(self) -> int:
        return sum(shard.records for shard in self.shards)

    @property
    def ranges(self) -> dict[str, range]:
        """The records of each split, which follow each other."""
        found, start = dict[str, range](), 0
        for split, shards in itertools.groupby(self.shards, lambda shard: shard.split):
            stop = start + sum(shard.records for shard in shards)
            if split in found:
                raise DataError(f"The shards of a split must follow each other. Those of {split} in {self.name} don't.")
            found[split], start = range(start, stop), stop
        return found

    @property
    def identity(self) -> bytes:
        """A digest of everything that the index says: classes, and each record's key, label, place and length."""
        parts = [*self.classes, *(f"{name} {digest}" for name, digest in sorted(self.arrays.items()))]
        parts += [f"{shard.size} {shard.sha256 or ''}" for shard in self.shards]
        return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).digest()


HEADERS = TypeAdapter(Header)


def write_header(header: Header) -> bytes:
    """Raises DataError for names that can't be encoded."""
    unused = {key for key in ("left_out", "unlabelled") if not getattr(header, key)}  # earlier versions refuse these
    try:
        return HEADERS.dump_json(header, indent=1, exclude=unused) + b"\n"
    except ValueError as error:  # such as the bytes of a file's name that are not UTF-8
        names = (header.name, *header.classes, *(shard.name for shard in header.shards))
        odd = repr(next((name for name in names if not is_encodable(name)), header.name)[:200])
        raise DataError("Sets, shards and classes need names in Unicode.", received=odd, fix="Rename it.") from error


def read_header(content: bytes, where: str) -> Header:
    """Raises DataError if it is not an index of this version, or names shards outside of the set."""
    try:
        header = HEADERS.validate_json(content)
    except (ValidationError, ValueError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        place = ", at " + ".".join(map(str, first["loc"])) if first["loc"] else ""
        rule = f"{where} is not an index of version 1: {first['msg']}{place}."
        raise DataError(rule, fix="Pack the set again, or update Neocog.") from error
    for shard in header.shards:
        path = PurePosixPath(shard.name)
        if path.is_absolute() or ".." in path.parts or "\\" in shard.name or ":" in shard.name:
            raise DataError(f"Shards lie beside their index. {where} names {shard.name!r}.", fix="It is not read.")
    if "all" in header.ranges and len(header.ranges) > 1:
        raise DataError(f"Either all shards belong to splits or none does. {where} names {', '.join(header.ranges)}.")
    return header


ROW = np.dtype([("shard", "<u4"), ("offset", "<u8"), ("length", "<u4"), ("label", "<i4"), ("id", "<u8")])
"""Shard's number; first byte and bytes of the record in a tar, or row group and row in it; class; `sample_ids`."""
ARRAYS = {"rows": ROW, "keys": np.dtype("u1"), "starts": np.dtype("<u8"), "targets": np.dtype("<i8")}
NUMBERS: np.dtype[Any] = np.dtype("<f8")
ROWS = ("multi-label", "regression")
"""Tasks with a row of targets for each record."""
MAX_LENGTH = 2**32 - 1
PACK_ROW = struct.Struct("<IQIiQ").pack


def array_name(kind: str) -> str:
    return f"neocog-index.{kind}.npy"


class Index:
    """An index in a folder, whose calls read only their own rows.

    Opening checks the header, and the size and type of each array; the SHA-256 of an array is checked once, before its
    first use, because it takes longer the more records there are.
    """

    def __init__(self, folder: Path) -> None:
        path, store = folder / INDEX, LocalStore(folder)
        if store.stat(INDEX).size > MAX_HEADER:
            raise DataError(f"{path} is larger than any index: {MAX_HEADER:,} bytes.", fix=AGAIN)
        self.folder, self.store = folder, store
        self.header = read_header(store.read(INDEX, 0, MAX_HEADER), str(path))
        self.count = len(self.header)
        self.unchecked = set(ARRAYS)
        self.places = {kind: self.check_shape(kind) for kind in ARRAYS}

    def __len__(self) -> int:
        return self.count

    def check_shape(self, kind: str) -> int:
        """Where the values of an array begin in its file. Raises DataError unless its size and type are right."""
        path = self.folder / array_name(kind)
        try:
            array = self.map_array(kind)
        except DataError:
            self.check_hash(kind)  # names what is damaged
            raise
        expected, dtype = {"starts": (self.count + 1,), "keys": array.shape[:1]}.get(kind, (self.count,)), ARRAYS[kind]
        if kind == "targets" and self.header.task in ROWS:
            expected, dtype = (self.count, len(self.header.classes)), NUMBERS
            if self.header.task == "multi-label" and array.dtype == bool:
                dtype = np.dtype(bool)
        size = array.offset + array.nbytes
        if (
            (array.shape, array.dtype) != (expected, dtype)
            or not array.flags.c_contiguous
            or path.stat().st_size != size
        ):
            self.check_hash(kind)
            received = f"{array.dtype} {array.shape}"
            raise DataError(f"{path} must hold {dtype} {expected}.", received=received, fix=AGAIN)
        return int(array.offset)

    def check_hash(self, kind: str) -> None:
        """Raises DataError unless an array is the one that was written."""
        path = self.folder / array_name(kind)
        if not path.is_file() or file_hash(path) != self.header.arrays.get(kind):
            rule = f"{path} is {'damaged' if path.is_file() else 'missing'}: it is not what {INDEX} describes."
            raise DataError(rule, fix="Fetch it again, or pack the set again.")

    def check(self, *kinds: str) -> None:
        """Check these arrays, unless it was done. Raises DataError for one that is not as it was written."""
        if self.unchecked.isdisjoint(kinds):
            return
        for kind in self.unchecked.intersection(kinds):  # threads that come at once each check: no lock to wait for
            self.check_hash(kind)
            if kind == "targets" and (targets := self.map_array(kind)).ndim == 1:
                self.check_labels(targets)
            self.unchecked.discard(kind)

    def check_labels(self, labels: NDArray[Any], num_shards: int = 0) -> None:
        """Raises DataError for labels without a class, or if there are more shards than the set has."""
        lowest = 0 if self.header.task == "classification" else -1  # for records without a class of their own
        outside = labels.size and (labels.min() < lowest or labels.max() >= max(1, len(self.header.classes)))
        if outside or num_shards > len(self.header.shards):
            rule = f"The index of {self.header.name} leads to a shard or a class that is not there."
            raise DataError(rule, fix=AGAIN)

    def open_array(self, kind: str) -> "np.memmap[Any, Any]":
        """An array, checked; pages of the file are read when they are used."""
        self.check(kind)
        return self.map_array(kind)

    def map_array(self, kind: str) -> "np.memmap[Any, Any]":
        path = self.folder / array_name(kind)
        try:
            return np.lib.format.open_memmap(path, mode="r")
        except Exception as error:  # NumPy's header is a Python literal, which can be damaged in any way
            raise DataError(f"{path} is damaged: {error}.", fix=AGAIN) from error

    def read(self, kind: str, start: int, count: int) -> NDArray[Any]:
        width = ARRAYS[kind].itemsize
        content = self.store.read(array_name(kind), self.places[kind] + start * width, count * width)
        if len(content) < count * width:
            path = self.folder / array_name(kind)
            raise DataError(f"{path} has been cut off since it was opened.", fix="Open it again.")
        return np.frombuffer(content, ARRAYS[kind])

    def rows(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """The rows of these records; neighbours are read together. (n,) -> (n,) of ROW."""
        self.check("rows")
        found = np.empty(len(indices), ROW)
        for first, last in find_runs(indices):
            found[first:last] = self.read("rows", int(indices[first]), last - first)
        return found

    def keys(self, indices: NDArray[np.int64]) -> list[str]:
        self.check("starts", "keys")
        found: list[str] = []
        for first, last in find_runs(indices):
            ends: list[int] = self.read("starts", int(indices[first]), last - first + 1).tolist()
            if ends != sorted(ends) or ends[-1] - ends[0] > 2**31:
                raise DataError(f"{self.folder / array_name('starts')} is damaged: keys end before they begin.")
            text = self.read("keys", ends[0], ends[-1] - ends[0]).tobytes()
            places = itertools.pairwise([end - ends[0] for end in ends])
            if text.isascii():
                whole = text.decode()
                found += [whole[a:b] for a, b in places]
            else:
                found += [text[a:b].decode("utf-8", "surrogateescape") for a, b in places]
        return found


def find_runs(indices: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Stretches of the array in which each index is its neighbour's next.

    >>> list(find_runs(np.array([3, 4, 5, 9, 8])))
    [(0, 3), (3, 4), (4, 5)]
    """
    if len(indices):
        cuts = (np.flatnonzero(np.diff(indices) != 1) + 1).tolist()
        yield from zip([0, *cuts], [*cuts, len(indices)], strict=True)


class IndexWriter:
    """Writes the arrays record by record, so that an index never has to fit in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count, self.length = folder, 0, 0
        self.labels: list[bytes] = []
        """Rows of bits, until one is not known."""
        self.numbers: list[bytes] = []
        with storage_errors(folder):
            self.files = {kind: (folder / array_name(kind)).open("wb+") for kind in ARRAYS}
            self.write_headers()
            self.files["starts"].write(bytes(8))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files.values():
            file.close()

    def write_headers(self) -> None:
        """NumPy leaves room for growth, so that the same header with the final shape takes the same place."""
        shapes = {"keys": (self.length,), "starts": (self.count + 1,)}
        for kind, file in self.files.items():
            file.seek(0)
            write_npy_header(file, ARRAYS[kind], shapes.get(kind, (self.count,)))

    def add(self, key: str, shard: int, offset: int, length: int, label: int,
            row: NDArray[Any] | None = None) -> None:  # fmt: skip
        """One record, behind all others; `row` are its labels or numbers, (classes,). Raises DataError for 4 GiB."""
        if length > MAX_LENGTH:
            raise DataError(f"A record has less than 4 GiB. {key!r} has {length:,} bytes.", fix="Divide it.")
        encoded = key.encode("utf-8", "surrogateescape")
        self.length += len(encoded)
        self.count += 1
        if row is not None:
            self.add_row(row)
        with storage_errors(self.folder):
            self.files["rows"].write(PACK_ROW(shard, offset, length, label, int(sample_ids([key])[0])))
            self.files["keys"].write(encoded)
            self.files["starts"].write(struct.pack("<Q", self.length))
            self.files["targets"].write(struct.pack("<q", label))

    def add_row(self, row: NDArray[Any]) -> None:
        if row.dtype == bool and not self.numbers:
            self.labels.append(np.packbits(row).tobytes())
            return
        for packed in self.labels:
            bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=len(row))
            self.numbers.append(bits.astype(NUMBERS).tobytes())
        self.labels.clear()
        self.numbers.append(row.astype(NUMBERS).tobytes())

    def finish(self, header: Header, mapping: NDArray[np.int64] | None = None) -> Header:
        """Complete the arrays, renumber labels, and write the header. Raises DataError if two records share a key."""
        with storage_errors(self.folder):
            self.write_headers()
            self.__exit__()
            if mapping is not None:
                self.renumber(mapping)
            if header.task in ROWS:
                num_classes = len(header.classes)
                with (self.folder / array_name("targets")).open("wb") as targets:
                    dtype = NUMBERS if self.numbers else np.dtype(bool)
                    write_npy_header(targets, dtype, (self.count, num_classes))
                    targets.writelines(self.numbers)
                    for packed in self.labels:
                        targets.write(np.unpackbits(np.frombuffer(packed, np.uint8), count=num_classes).tobytes())
        self.check_unique(header.name)
        header = replace(header, arrays={kind: file_hash(self.folder / array_name(kind)) for kind in ARRAYS})
        write_whole(self.folder / INDEX, write_header(header))
        return header

    def renumber(self, mapping: NDArray[np.int64]) -> None:
        rows, targets = (np.load(self.folder / array_name(kind), mmap_mode="r+") for kind in ("rows", "targets"))
        for part in (slice(start, start + CHUNK) for start in range(0, self.count, CHUNK)):
            rows["label"][part] = targets[part] = mapping[targets[part]]
        rows.flush()
        targets.flush()

    def check_unique(self, name: str) -> None:
        """Keys are told apart by their 64-bit hashes, as all randomness does."""
        arrays = {kind: np.load(self.folder / array_name(kind), mmap_mode="r") for kind in ("rows", "starts", "keys")}
        ids = np.sort(arrays["rows"]["id"])
        twice = ids[1:][ids[1:] == ids[:-1]]
        if twice.size:
            place = int(np.flatnonzero(arrays["rows"]["id"] == twice[0])[1])
            start, stop = arrays["starts"][place : place + 2].tolist()
            key = arrays["keys"][start:stop].tobytes().decode("utf-8", "replace")
            rule = f"Each record needs a key of its own. {name} has {key!r} twice, {twice.size:,} such in all."
            fix = "The members of one record follow each other in a tar; rename those that do not belong together."
            raise DataError(rule, fix=fix)


def write_npy_header(file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
