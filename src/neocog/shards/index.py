"""The index of a set of shards: fixed-width rows on the disk, read where they are needed and never held.

Beside `neocog-index.json` lie four arrays for N records: `rows` (N,) with place and label of each, `keys` (bytes,) with
all keys one after another, `starts` (N + 1,) where each key begins, and `targets` (N,), or (N, classes) of yes and no.
"""

import itertools
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import sample_ids
from neocog.errors import DataError
from neocog.files import file_hash, storage_errors, write_whole
from neocog.shards.header import INDEX, MAX_HEADER, Header, read_header, write_header
from neocog.shards.store import LocalStore

__all__ = ["ARRAYS", "ROW", "Index", "IndexWriter", "array_name"]

ROW = np.dtype([("shard", "<u4"), ("offset", "<u8"), ("length", "<u4"), ("label", "<i4"), ("id", "<u8")])
"""Shard's number; first byte and bytes of the record in a tar, or row group and row in it; class; `sample_ids`."""
ARRAYS = {"rows": ROW, "keys": np.dtype("u1"), "starts": np.dtype("<u8"), "targets": np.dtype("<i8")}
MAX_LENGTH = 2**32 - 1
PACK_ROW = struct.Struct("<IQIiQ").pack
CHUNK = 2**20


def array_name(kind: str) -> str:
    return f"neocog-index.{kind}.npy"


class Index:
    """An index that lies in a folder. Opening checks it as a whole; after that, each call reads only its own rows."""

    def __init__(self, folder: Path) -> None:
        path = folder / INDEX
        store = LocalStore(folder)
        if store.stat(INDEX).size > MAX_HEADER:
            raise DataError(f"{path} is larger than any index: {MAX_HEADER:,} bytes. Pack the set again.")
        self.folder, self.store = folder, store
        self.header = read_header(store.read(INDEX, 0, MAX_HEADER), str(path))
        self.places = {kind: self.check_array(kind) for kind in ARRAYS}

    def __len__(self) -> int:
        return len(self.header)

    def check_array(self, kind: str) -> int:
        """Where the values of an array begin in its file. Raises DataError unless it is the one that was written."""
        path = self.folder / array_name(kind)
        if not path.is_file() or file_hash(path) != self.header.arrays.get(kind):
            state = "damaged" if path.is_file() else "missing"
            raise DataError(
                f"{path} is {state}: it is not what {INDEX} describes. Fetch it again, or pack the set again."
            )
        array = self.open_array(kind)
        shapes = {"rows": (len(self),), "starts": (len(self) + 1,), "keys": array.shape[:1], "targets": (len(self),)}
        expected, dtype = shapes[kind], ARRAYS[kind]
        if kind == "targets" and self.header.task == "multi-label":
            expected, dtype = (len(self), len(self.header.classes)), np.dtype(bool)
        if array.shape != expected or array.dtype != dtype or not array.flags.c_contiguous:
            raise DataError(
                f"{path} must hold {dtype} {expected}. Received: {array.dtype} {array.shape}. Pack the set again."
            )
        if kind == "targets" and self.header.task != "multi-label" and len(self):
            lowest = 0 if self.header.task == "classification" else -1  # where a record has no class of its own
            if array.min() < lowest or array.max() >= max(1, len(self.header.classes)):
                raise DataError(
                    f"The index of {self.header.name} leads to a shard or a class that is not there. "
                    "Pack the set again."
                )
        return int(array.offset)

    def open_array(self, kind: str) -> "np.memmap[Any, Any]":
        path = self.folder / array_name(kind)
        try:
            return np.lib.format.open_memmap(path, mode="r")
        except Exception as error:  # NumPy's header is a Python literal, which can be damaged in any way
            raise DataError(f"{path} is damaged: {error}. Pack the set again.") from error

    def targets(self) -> NDArray[np.int64]:
        """All classes, (N,) or (N, classes); pages of the file come into memory as they are looked at."""
        return self.open_array("targets")

    def read(self, kind: str, start: int, count: int) -> NDArray[Any]:
        """Some values of an array, read from the disk."""
        width = ARRAYS[kind].itemsize
        content = self.store.read(array_name(kind), self.places[kind] + start * width, count * width)
        if len(content) < count * width:
            raise DataError(f"{self.folder / array_name(kind)} has been cut off since it was opened. Open it again.")
        return np.frombuffer(content, ARRAYS[kind])

    def rows(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """The rows of these records; neighbours are read together. (n,) -> (n,) of ROW."""
        found = np.empty(len(indices), ROW)
        for first, last in runs(indices):
            found[first:last] = self.read("rows", int(indices[first]), last - first)
        return found

    def keys(self, indices: NDArray[np.int64]) -> list[str]:
        """The keys of these records."""
        found: list[str] = []
        for first, last in runs(indices):
            ends: list[int] = self.read("starts", int(indices[first]), last - first + 1).tolist()
            if ends != sorted(ends) or ends[-1] - ends[0] > 2**31:
                raise DataError(f"{self.folder / array_name('starts')} is damaged: keys end before they begin.")
            text = self.read("keys", ends[0], ends[-1] - ends[0]).tobytes()
            pieces = (text[a - ends[0] : b - ends[0]] for a, b in itertools.pairwise(ends))
            found += [piece.decode("utf-8", "surrogateescape") for piece in pieces]
        return found


def runs(indices: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Stretches of the array in which each index is its neighbour's next.

    >>> list(runs(np.array([3, 4, 5, 9, 8])))
    [(0, 3), (3, 4), (4, 5)]
    """
    if len(indices):
        cuts = (np.flatnonzero(np.diff(indices) != 1) + 1).tolist()
        yield from zip([0, *cuts], [*cuts, len(indices)], strict=True)


class IndexWriter:
    """Writes the arrays record by record, so that an index never has to fit in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count, self.length = folder, 0, 0
        self.several: list[bytes] = []
        with storage_errors(folder):
            self.files = {kind: self.begin(folder / array_name(kind), dtype) for kind, dtype in ARRAYS.items()}
        self.files["starts"].write(bytes(8))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for file in self.files.values():
            file.close()

    def begin(self, path: Path, dtype: np.dtype[Any]) -> BinaryIO:
        file = path.open("wb+")
        write_npy_header(file, dtype, (0,))
        return file

    def add(self, key: str, shard: int, offset: int, length: int, label: int) -> None:
        """One record, behind all others. Raises DataError for one of 4 GiB or more."""
        if length > MAX_LENGTH:
            raise DataError(f"A record has less than 4 GiB. {key!r} has {length:,} bytes. Divide it.")
        encoded = key.encode("utf-8", "surrogateescape")
        self.length += len(encoded)
        self.count += 1
        identity = int(sample_ids([key])[0])
        with storage_errors(self.folder):
            self.files["rows"].write(PACK_ROW(shard, offset, length, label, identity))
            self.files["keys"].write(encoded)
            self.files["starts"].write(struct.pack("<Q", self.length))
            self.files["targets"].write(struct.pack("<q", label))

    def add_several(self, chosen: NDArray[np.bool_]) -> None:
        """Yes and no for each class, for the record that was added last; (classes,)."""
        self.several.append(np.packbits(chosen).tobytes())

    def finish(self, header: Header, mapping: NDArray[np.int64] | None = None) -> Header:
        """Complete the arrays, number the labels anew if a mapping is given, and write the header, which names them.

        Raises DataError where two records share a key.
        """
        shapes = {"keys": (self.length,), "starts": (self.count + 1,)}
        with storage_errors(self.folder):
            for kind, file in self.files.items():
                file.seek(0)
                write_npy_header(file, ARRAYS[kind], shapes.get(kind, (self.count,)))
                file.close()
            if mapping is not None:
                self.renumber(mapping)
            if header.task == "multi-label":
                self.write_several(len(header.classes))
        self.check_unique(header.name)
        header = replace(header, arrays={kind: file_hash(self.folder / array_name(kind)) for kind in ARRAYS})
        write_whole(self.folder / INDEX, write_header(header))
        return header

    def renumber(self, mapping: NDArray[np.int64]) -> None:
        rows, targets = (np.load(self.folder / array_name(kind), mmap_mode="r+") for kind in ("rows", "targets"))
        for start in range(0, self.count, CHUNK):
            part = slice(start, start + CHUNK)
            targets[part] = mapping[targets[part]]
            rows["label"][part] = targets[part]
        rows.flush()
        targets.flush()

    def write_several(self, num_classes: int) -> None:
        with (self.folder / array_name("targets")).open("wb") as file:
            write_npy_header(file, np.dtype(bool), (self.count, num_classes))
            for packed in self.several:
                file.write(np.unpackbits(np.frombuffer(packed, np.uint8), count=num_classes).tobytes())

    def check_unique(self, name: str) -> None:
        """Keys are told apart by their 64-bit hashes, as all randomness does."""
        ids = np.sort(np.load(self.folder / array_name("rows"), mmap_mode="r")["id"])
        twice = ids[1:][ids[1:] == ids[:-1]]
        if twice.size:
            rows = np.load(self.folder / array_name("rows"), mmap_mode="r")
            place = int(np.flatnonzero(rows["id"] == twice[0])[1])
            starts = np.load(self.folder / array_name("starts"), mmap_mode="r")
            keys = np.load(self.folder / array_name("keys"), mmap_mode="r")
            key = keys[int(starts[place]) : int(starts[place + 1])].tobytes().decode("utf-8", "replace")
            raise DataError(
                f"Each record needs a key of its own. {name} has {key!r} twice, {twice.size:,} such in all. The "
                "members of one record follow each other in a tar; rename those that do not belong together."
            )


def write_npy_header(file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """NumPy leaves room for growth, so that the same header with the final shape takes the same place."""
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
