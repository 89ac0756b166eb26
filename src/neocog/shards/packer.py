"""The work of packing: records encoded in threads, written shard by shard, each shard read back and compared."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from neocog.cpus import num_cpus
from neocog.dataset.record import Source
from neocog.errors import DataError, StorageError, some
from neocog.files import file_hash, storage_errors, whole_file
from neocog.progress import Bar
from neocog.shards.build import index_shards
from neocog.shards.contents import target_members
from neocog.shards.encode import encode, text_bytes
from neocog.shards.header import Header, Shard
from neocog.shards.names import ShardFiles, Split
from neocog.shards.open import STATE
from neocog.shards.state import Done, State, save_state
from neocog.shards.store import LocalStore
from neocog.shards.write import (
    ParquetWriter,
    ShardWriter,
    TarWriter,
    columns_digests,
    digest,
    member_key,
    tar_digests,
)

__all__ = ["Packer"]

AT_ONCE = 64  # records that threads read and encode ahead
ORDER: tuple[Split, ...] = ("all", "train", "val", "test")

Encoded = tuple[str, dict[str, bytes]]
"""A key, and its members by extension: first what was measured, then what it is."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A record that can't be read, and why."""

    key: str
    reason: str


class Ahead:
    """Records of which the `next` can be looked at before it is taken; `place` is where the one after it stands."""

    def __init__(self, items: Iterator[Encoded | Fault], place: int) -> None:
        self.items, self.place = items, place
        self.step()

    def step(self) -> None:
        """Go on to the next record that can be read; `faults` are the keys of those before it that can't."""
        self.next: Encoded | None = None
        self.faults: list[str] = []
        for item in self.items:
            self.place += 1
            if not isinstance(item, Fault):
                self.next = item
                return
            self.faults.append(item.key)


class Packer:
    """One packing: a source, a folder, and how far it is."""

    def __init__(self, source: Source, out: Path, state: State) -> None:
        self.source, self.out, self.state = source, out, state
        self.store = LocalStore(out)
        self.late: list[str] = []

    @property
    def skipped(self) -> tuple[str, ...]:
        """The keys of all records that were passed over."""
        return (*(key for done in self.state.shards for key in done.skipped), *self.late)

    def run(self) -> None:
        """Write all shards that are not there yet, then the index."""
        save_state(self.out, self.state)
        splits = {split: self.source.splits[split] for split in ORDER if split in self.source.splits}
        total = sum(len(indices) for indices in splits.values())
        with Bar("packing", total) as bar, ThreadPoolExecutor(num_cpus()) as pool:
            before = 0
            for split, indices in splits.items():
                self.write_split(pool, bar, before, split, indices)
                before += len(indices)
        self.finish()

    def write_split(
        self, pool: ThreadPoolExecutor, bar: Bar, before: int, split: Split, indices: NDArray[np.int64]
    ) -> None:
        there = [done for done in self.state.shards if done.split == split]
        first = there[-1].stop if there else 0
        ahead = Ahead(self.encoded(pool, bar, before, indices, first), first)
        for number in itertools.count(len(there)):
            if ahead.next is None:
                self.late += ahead.faults
                return
            done = self.write_shard(f"{split}-{number:06}.{self.state.format}", split, ahead)
            self.state = replace(self.state, shards=(*self.state.shards, done))
            save_state(self.out, self.state)

    def encoded(
        self, pool: ThreadPoolExecutor, bar: Bar, before: int, indices: NDArray[np.int64], first: int
    ) -> Iterator[Encoded | Fault]:
        """The records of a split from the first on, in order; or why one could not be read."""
        for start in range(first, len(indices), AT_ONCE):
            bar.draw(before + start)
            part = list(pool.map(self.encode, indices[start : start + AT_ONCE].tolist()))
            faults = [item for item in part if isinstance(item, Fault)]
            if faults and self.state.on_corrupt == "stop":
                raise corrupt(faults)
            yield from part

    def encode(self, index: int) -> Encoded | Fault:
        try:
            record = self.source.read(index)
            where = f"{self.source.name}: {record.key}"
            if self.state.format == "parquet":
                text_bytes(record.key, where)
            extension, payload = encode(record.payload, self.source.modality, self.state.resize, where)
            return record.key, {extension: payload} | target_members(record.target, self.source.task)
        except DataError as error:
            return Fault(self.source.key(index), str(error))

    def write_shard(self, name: str, split: Split, ahead: Ahead) -> Done:
        """One shard of records up to its size, at least one, checked after writing."""
        hashes: list[bytes] = []
        skipped: list[str] = []
        stop = ahead.place
        with whole_file(self.out / name) as file:
            writer = self.writer(file)
            while ahead.next is not None:
                key, members = ahead.next
                if writer.count and writer.size + writer.cost(members) > self.state.shard_size:
                    break
                writer.add(key, members)
                hashes.append(digest(member_key(key), members))
                skipped, stop = skipped + ahead.faults, ahead.place
                ahead.step()
            writer.finish()
        self.check_written(name, hashes)
        size, sha256 = self.store.stat(name).size, file_hash(self.out / name)
        return Done(
            name=name, split=split, size=size, records=len(hashes), sha256=sha256, stop=stop, skipped=tuple(skipped)
        )

    def writer(self, file: BinaryIO) -> ShardWriter:
        if self.state.format == "tar":
            return TarWriter(file)
        return ParquetWriter(file, self.source.modality, self.source.classes)

    def check_written(self, name: str, hashes: list[bytes]) -> None:
        """Read a shard back. Raises StorageError where it does not hold what was written."""
        digests = tar_digests if self.state.format == "tar" else columns_digests
        try:
            same = list(digests(LocalStore(self.out), name)) == hashes
        except DataError as error:
            raise StorageError(f"{self.out / name} is not what was written: {error} Check the disk.") from error
        if not same:
            raise StorageError(f"{self.out / name} is not what was written: its records differ. Check the disk.")

    def finish(self) -> None:
        """Write the index, with which the pack is complete."""
        if not self.state.shards:
            raise DataError(f"None of the records of {self.source.name} can be read. Nothing is packed.")
        shards = tuple(
            Shard(name=done.name, split=done.split, size=done.size, records=done.records, sha256=done.sha256)
            for done in self.state.shards
        )
        header = Header(
            name=self.source.name,
            container=self.state.format,
            modality=self.source.modality,
            task=self.source.task,
            classes=tuple(self.source.classes),
            channels=getattr(self.source, "channel_names", ()),
            shards=shards,
            arrays={},
            packed=True,
            resize=self.state.resize,
            unlabelled=getattr(self.source, "unlabelled", ()),
        )
        order = sorted(shards, key=lambda shard: (ORDER.index(shard.split), shard.name))
        files = ShardFiles(header.name, self.store, {shard.name: shard.split for shard in order}, header.container)
        index_shards(files, self.out, packed=header)
        with storage_errors(self.out):
            (self.out / STATE).unlink()


def corrupt(faults: list[Fault]) -> DataError:
    rest = (
        f"\n{len(faults) - 1} more are near it: {some(fault.key for fault in faults[1:])}." if len(faults) > 1 else ""
    )
    return DataError(
        f"{faults[0].reason}{rest}\nMend or remove such records, or pass them over with --on-corrupt skip. Shards that "
        "are done are kept."
    )
