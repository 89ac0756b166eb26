"""Shards as a source: any record by its index, with one read of just its bytes."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import LeftOut, Modality, Record, Target, Task
from neocog.errors import DataError
from neocog.modalities.signal.channel_names import said_of_channels
from neocog.shards.columns import Columns
from neocog.shards.contents import find_payload, read_payload, read_payloads, read_target
from neocog.shards.index import Index
from neocog.shards.plain import FEWEST, Places, find_plain_members, names_in_tar
from neocog.shards.scan import record_key
from neocog.shards.store import Store
from neocog.shards.tar import group_members, read_dotted, walk_tar

__all__ = ["ShardSource", "Splits"]

BLOCK_BYTES = 2**20  # of local records that are read at once; afar, the store's own chunk
GAP = 2**16  # bytes between two records that are read instead of skipped
MOST = 2**24  # bytes of records that are read at once
CHANGED = "The shard has been changed. Index or pack it again."
MAX_BLOCK = 4096  # records
NUMBERED = ("classification", "next move")  # tasks whose targets are the labels in the index


class Splits(Mapping[str, NDArray[np.int64]]):
    """The indices of each split, made when they are asked for and not kept."""

    def __init__(self, ranges: Mapping[str, range]) -> None:
        self.ranges = ranges

    def __getitem__(self, split: str) -> NDArray[np.int64]:
        return np.arange(self.ranges[split].start, self.ranges[split].stop)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ranges)

    def __len__(self) -> int:
        return len(self.ranges)


class ShardSource:
    """The records of a set of shards, by their index on the disk. Only the records that are read come into memory.

    `ranges` gives the first and last record of each split. Reading is safe from many threads, and an opened source can
    be sent to another process.
    """

    def __init__(self, store: Store, index: Index) -> None:
        self.store, self.index, self.header = store, index, index.header
        self.name, self.classes, self.format = self.header.name, self.header.classes, "shards"
        self.modality: Modality = self.header.modality
        self.task: Task = self.header.task
        self.notices: tuple[str, ...] = (*(LeftOut(*notice) for notice in self.header.left_out), *self.header.notices)
        self.unlabelled: tuple[str, ...] = self.header.unlabelled
        self.ranges = self.header.ranges
        self.channel_names = self.header.channels  # of signals whose channels had names when they were packed
        self.places: list[int] | None = None
        self.layout: tuple[str, ...] = ()  # the members of the record that was read last
        if self.channel_names:
            self.notices = (said_of_channels(self.channel_names), *self.notices)
        self.splits: Mapping[str, NDArray[np.int64]] = Splits(self.ranges)
        self.columns = Columns(store, self.header.container, self.header.payload) if self.header.payload else None
        for shard in self.header.shards:
            if (size := store.stat(shard.name).size) != shard.size:
                sizes = f"the index knows {shard.size:,} bytes, the file has {size:,}"
                rule = f"{store.root}/{shard.name} is truncated or has been changed: {sizes}."
                raise DataError(rule, fix="Fetch it again, or pack the set again.")

    def __len__(self) -> int:
        return len(self.index)

    @property
    def targets(self) -> NDArray[Any]:
        """The class of every record, (len,), or its row, (len, classes); pages of the file are read when used."""
        return self.index.open_array("targets")

    def key(self, index: int) -> str:
        return self.index.keys(np.array([index]))[0]

    def ids(self, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
        """As `sample_ids` of these records' keys; (N,)."""
        return np.ascontiguousarray(self.index.rows(indices)["id"]).astype(np.uint64, copy=False)

    def identity(self) -> bytes:
        """A digest of classes, keys, labels, and of every shard's content if it was packed, else its size."""
        return self.header.identity

    def content(self) -> Iterator[bytes]:
        yield self.identity()

    @property
    def block_size(self) -> int:
        """The number of neighbours to read at once: a megabyte of local records, or one row group."""
        if self.columns is not None:
            return max(max(shard.groups, default=1) for shard in self.header.shards)
        mean = max(1, sum(shard.size for shard in self.header.shards) // len(self))
        return max(1, min(MAX_BLOCK, max(BLOCK_BYTES, self.store.chunk) // mean))

    def blocks(self, split: str) -> NDArray[np.int64]:
        """Where the blocks of a split begin, and its end: (blocks + 1,). No block crosses the end of a shard."""
        starts, start = [], 0
        for shard in self.header.shards:
            if shard.split == split and shard.groups:
                starts.append(start + np.cumsum([0, *shard.groups[:-1]]))
            elif shard.split == split:
                starts.append(np.arange(start, start + shard.records, self.block_size))
            start += shard.records
        return np.unique(np.concatenate([*starts, [self.ranges[split].stop]]).astype(np.int64))

    def read(self, index: int) -> Record:
        return self.read_many(np.array([index]))[0]

    def read_many(self, indices: NDArray[np.int64]) -> list[Record]:
        """These records, in this order; those that lie near each other are read together."""
        indices = np.asarray(indices, np.int64)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"a record's index is below {len(self):,}")
        rows, keys = self.index.rows(indices), self.index.keys(indices)
        self.index.check_labels(rows["label"], int(rows["shard"].max(initial=0)) + 1)
        if self.columns is None:
            records = self.read_tars(rows, keys)
        else:
            found = dict(self.read_columns(rows, keys))
            records = [found[place] for place in range(len(indices))]
        if self.places is None:
            return records
        return [replace(record, payload=np.asarray(record.payload)[self.places]) for record in records]

    def with_channels(self, names: Sequence[str]) -> "ShardSource":
        """The same signals with these channels, by name, in this order."""
        other = copy(self)
        other.places, other.channel_names = [self.channel_names.index(name) for name in names], tuple(names)
        return other

    def read_tars(self, rows: NDArray[Any], keys: list[str]) -> list[Record]:
        """The records of tars. Those that are alike are checked as arrays, and all others one by one."""
        found: list[Record | None] = [None] * len(rows)
        labels: list[int] = rows["label"].tolist()
        for places in group_near(rows):
            name, origin = self.header.shards[rows["shard"][places[0]]].name, int(rows["offset"][places[0]])
            starts = (rows["offset"][places] - np.uint64(origin)).astype(np.int64)
            stops = starts + rows["length"][places]
            content = self.store.read(name, origin, int(stops.max()))
            if len(places) >= FEWEST:
                chosen = [keys[place] for place in places], [labels[place] for place in places]
                alike, records = self.read_alike(name, content, starts, stops, *chosen)
                for row, record in zip(alike, records, strict=True):
                    found[places[row]] = record
                if len(alike) == len(places):
                    continue
            for place, start, stop in zip(places, starts.tolist(), stops.tolist(), strict=True):
                if found[place] is None:
                    piece = content[start:stop] if len(places) > 1 else content
                    found[place] = self.read_tar_record(name, piece, keys[place], labels[place])
        return [record for record in found if record is not None]

    def read_alike(
        self, name: str, content: bytes, starts: Places, stops: Places, keys: list[str], labels: list[int]
    ) -> tuple[list[int], list[Record]]:
        """Those of a shard's records that have the members of the one that was read last; none if one is damaged.

        Returns their places among these, and the records.
        """
        names, where = names_in_tar(name, keys, packed=self.header.packed), f"{self.store.root}/{name}"
        if not self.layout:
            self.read_tar_record(name, content[: stops[0]], keys[0], labels[0])
        layout = self.layout
        if names is None or (not self.header.packed and any("." in extension for extension in layout)):
            return [], []
        members = find_plain_members(content, starts, stops, names, layout)
        rows: list[int] = members.rows.tolist()
        if not rows:
            return [], []
        if len(rows) < len(keys):
            keys, labels = [keys[row] for row in rows], [labels[row] for row in rows]
        extension, targets = find_payload(layout, where), list[Target](labels)
        try:
            payloads = read_payloads(extension, members.cut(content, extension), where)
            if self.task not in NUMBERED:
                contents = {member: members.cut(content, member) for member in layout}
                for place, label in enumerate(labels):
                    part = {member: pieces[place] for member, pieces in contents.items()}
                    targets[place] = read_target(self.task, label, len(self.classes), part.__getitem__, where)
        except DataError:  # reading one by one names the record
            return [], []
        return rows, list(map(Record, keys, payloads, targets))

    def read_tar_record(self, name: str, content: bytes, key: str, label: int) -> Record:
        """The record in these bytes of a tar. Raises DataError if it is not the one that the index means."""
        where = f"{self.store.root}/{name}: {key}"
        members = walk_tar(lambda start, length: content[start : start + length], len(content), where, ended=False)
        whole, packed = group_members(members, where), self.header.packed
        found = list(whole if packed else (r for record in whole for r in read_dotted(record, where).records))
        if len(found) != 1 or record_key(name, found[0].key, packed=packed) != key:
            raise DataError(f"{where} is not where the index says.", fix=CHANGED)
        members_found = found[0].members
        self.layout = tuple(members_found)

        def member(extension: str) -> bytes:
            return content[members_found[extension].offset : members_found[extension].stop]

        extension = find_payload(members_found, where)
        payload = read_payload(extension, member(extension), where)
        return Record(key, payload, read_target(self.task, label, len(self.classes), member, where))

    def read_columns(self, rows: NDArray[Any], keys: list[str]) -> Iterator[tuple[int, Record]]:
        assert self.columns is not None
        for place in np.lexsort((rows["length"], rows["offset"], rows["shard"])).tolist():
            name = self.header.shards[rows["shard"][place]].name
            payloads: list[bytes | str] = self.columns.payloads(name, int(rows["offset"][place]))
            row = int(rows["length"][place])
            if row >= len(payloads):
                raise DataError(f"{name} has no row for {keys[place]}.", fix=CHANGED)
            yield place, Record(keys[place], payloads[row], int(rows["label"][place]))


def group_near(rows: NDArray[Any]) -> Iterator[list[int]]:
    """The rows of a tar that are read at once: in one shard, with small gaps, up to MOST bytes."""
    order = np.lexsort((rows["offset"], rows["shard"]))
    shards, starts = rows["shard"][order], rows["offset"][order]
    stops = starts + rows["length"][order]
    cuts = (np.flatnonzero(shards[1:] != shards[:-1]) + 1).tolist()
    for first, last in itertools.pairwise([0, *cuts, len(order)]):
        places: list[int] = order[first:last].tolist()
        if len(places) < FEWEST:
            yield from split_far(rows, places)
            continue
        ends = np.maximum.accumulate(stops[first:last])
        near = (starts[first + 1 : last] <= ends[:-1] + GAP).all() and ends[-1] - starts[first] <= MOST
        yield from [places] if near else split_far(rows, places)


def split_far(rows: NDArray[Any], places: list[int]) -> Iterator[list[int]]:
    """These rows of one shard, by offset, where a gap or a read would be too large."""
    together, start, stop = list[int](), -1, -1
    for place in places:
        at, length = int(rows["offset"][place]), int(rows["length"][place])
        if together and (at > stop + GAP or at + length > start + MOST):
            yield together
            together = []
        if not together:
            start, stop = at, at
        together.append(place)
        stop = max(stop, at + length)
    if together:
        yield together
