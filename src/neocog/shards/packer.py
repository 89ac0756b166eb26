"""The work of packing: records encoded in threads, written shard by shard, each shard read back and compared.

The state of an unfinished pack is kept in its folder, so that the same call resumes it.
"""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from neocog.cpus import num_cpus
from neocog.dataset.record import Source
from neocog.errors import DataError, StorageError, some
from neocog.files import file_hash, storage_errors, whole_file, write_whole
from neocog.progress import Bar
from neocog.settings import SETTINGS
from neocog.shards.build import index_shards
from neocog.shards.contents import encode_target
from neocog.shards.index import INDEX, Count, Digest, Header, Shard
from neocog.shards.names import SPLITS, ShardFiles, Split
from neocog.shards.open import STATE
from neocog.shards.scan import member_key
from neocog.shards.store import LocalStore
from neocog.shards.write import ParquetWriter, TarWriter, encode, hash_columns, hash_record, hash_tar

__all__ = ["Format", "OnCorrupt", "Packer", "State", "begin_state", "keep_finished"]

AT_ONCE = 64  # records that threads read and encode ahead

Format = Literal["tar", "parquet"]
OnCorrupt = Literal["stop", "skip"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class Done:
    """A shard that is written and checked: it and those before hold the records of its split up to `stop`."""

    name: Annotated[str, Field(pattern=r"^(all|train|val|test)-\d{6}\.(tar|parquet)$")]
    split: Split
    size: Count
    records: Count
    sha256: Digest
    stop: Count
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class State:
    """The settings of a pack, the fingerprint of what it packs, and the shards that are done."""

    version: Literal[1] = 1
    fingerprint: str
    format: Format
    shard_size: int
    resize: int | None
    on_corrupt: OnCorrupt
    shards: tuple[Done, ...] = ()


STATES = TypeAdapter(State)


def begin_state(out: Path, wanted: State) -> State:
    """The state that a call with these settings left here, or a new one. Raises DataError if there are other files."""
    path = out / STATE
    if not path.is_file():
        inside = sorted(entry.name for entry in out.iterdir() if entry.name != ".lock")
        if INDEX in inside:
            raise DataError(f"{out} already holds a finished pack.", fix="Choose another folder, or remove it first.")
        if inside:
            raise DataError(f"A pack begins in an empty folder. {out} holds {some(inside)}.", fix="Choose another.")
        return wanted
    try:
        found = STATES.validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        rule = f"{path} is damaged: it does not tell how the pack was begun."
        raise DataError(rule, fix=f"Remove {out} and begin again.") from error
    for key in ("fingerprint", "format", "shard_size", "resize", "on_corrupt"):
        if getattr(found, key) != getattr(wanted, key):
            what = "data, which have changed" if key == "fingerprint" else f"another --{key.replace('_', '-')}"
            rule = f"A pack is resumed with its own settings. {out} was begun with {what}: {getattr(found, key)}."
            raise DataError(rule, received=str(getattr(wanted, key)), fix="Use the same again, or another folder.")
    return found


def keep_finished(out: Path, state: State) -> tuple[Done, ...]:
    """The finished shards that are still whole; in each split, all after a damaged one are written again."""
    kept, broken = list[Done](), set[str]()
    for done in state.shards:
        path = out / done.name
        if done.split in broken or not path.is_file() or file_hash(path) != done.sha256:
            broken.add(done.split)
        else:
            kept.append(done)
    return tuple(kept)


class Encoded(NamedTuple):
    """A record that can be read, and the keys of those before it that can't."""

    key: str
    members: dict[str, bytes]  # by extension: first the payload, then the target
    skipped: tuple[str, ...]
    stop: int  # the index in the split of the record after it


class Packer:
    """One pack: a source, a folder, and how far it is."""

    def __init__(self, source: Source, out: Path, state: State) -> None:
        self.source, self.out, self.state = source, out, state
        self.store = LocalStore(out)
        self.late: list[str] = []

    @property
    def skipped(self) -> tuple[str, ...]:
        return (*(key for done in self.state.shards for key in done.skipped), *self.late)

    def run(self) -> None:
        """Write all missing shards, then the index."""
        self.save()
        splits = {split: self.source.splits[split] for split in SPLITS if split in self.source.splits}
        with Bar("packing", sum(map(len, splits.values()))) as bar, ThreadPoolExecutor(num_cpus()) as pool:
            before = 0
            for split, indices in splits.items():
                there = [done for done in self.state.shards if done.split == split]
                records = self.encode_records(pool, bar, before, indices, there[-1].stop if there else 0)
                record = next(records, None)
                for number in itertools.count(len(there)):
                    if record is None:
                        break
                    done, record = self.write_shard(f"{split}-{number:06}.{self.state.format}", split, record, records)
                    self.state = replace(self.state, shards=(*self.state.shards, done))
                    self.save()
                before += len(indices)
        self.finish()

    def save(self) -> None:
        write_whole(self.out / STATE, STATES.dump_json(self.state, indent=1) + b"\n")

    def encode_records(self, pool: ThreadPoolExecutor, bar: Bar, before: int, indices: NDArray[np.int64],
                       first: int) -> Iterator[Encoded]:  # fmt: skip
        """The records of a split from the first on, in order. Raises DataError if one is not to be skipped."""
        skipped: tuple[str, ...] = ()
        for start in range(first, len(indices), AT_ONCE):
            bar.draw(before + start)
            part = list(pool.map(self.encode, indices[start : start + AT_ONCE].tolist()))
            faults = [(key, error) for key, error in part if isinstance(error, DataError)]
            if faults and self.state.on_corrupt == "stop":
                others = f" {len(faults) - 1} more are near it: {some(key for key, _ in faults[1:])}."
                rule = str(faults[0][1]) + (others if len(faults) > 1 else "")
                fix = "Fix or remove such records, or skip them with --on-corrupt skip. Finished shards are kept."
                raise DataError(rule, fix=fix)
            for stop, (key, found) in enumerate(part, start + 1):
                if isinstance(found, DataError):
                    skipped += (key,)
                else:
                    yield Encoded(key, found, skipped, stop)
                    skipped = ()
        self.late += skipped

    def encode(self, index: int) -> tuple[str, dict[str, bytes] | DataError]:
        try:
            record = self.source.read(index)
            where = f"{self.source.name}: {record.key}"
            if self.state.format == "parquet":
                encode(record.key, "text", None, where)  # a key in a column must be UTF-8
            extension, payload = encode(record.payload, self.source.modality, self.state.resize, where)
            return record.key, {extension: payload} | encode_target(record.target, self.source.task)
        except DataError as error:
            return self.source.key(index), error

    def write_shard(self, name: str, split: Split, record: Encoded | None,
                    records: Iterator[Encoded]) -> tuple[Done, Encoded | None]:  # fmt: skip
        """One shard of records up to its size, at least one, checked after writing; and the record after them."""
        hashes, skipped, stop, source = list[bytes](), tuple[str, ...](), 0, self.source
        with whole_file(self.out / name) as file:
            tar = self.state.format == "tar"
            writer = TarWriter(file) if tar else ParquetWriter(file, source.modality, source.classes)
            while record is not None:
                if writer.count and writer.size + writer.cost(record.members) > self.state.shard_size:
                    break
                writer.add(record.key, record.members)
                hashes.append(hash_record(member_key(record.key), record.members))
                skipped, stop = skipped + record.skipped, record.stop
                record = next(records, None)
            writer.finish()
        self.check_written(name, hashes)
        size, sha256, records_in = self.store.stat(name).size, file_hash(self.out / name), len(hashes)
        done = Done(name=name, split=split, size=size, records=records_in, sha256=sha256, stop=stop, skipped=skipped)
        return done, record

    def check_written(self, name: str, hashes: list[bytes]) -> None:
        """Read a shard back. Raises StorageError if it differs from what was written."""
        hash_shard, fault, cause = hash_tar if self.state.format == "tar" else hash_columns, "its records differ.", None
        try:
            if list(hash_shard(LocalStore(self.out), name)) == hashes:
                return
        except DataError as error:
            fault, cause = str(error), error
        raise StorageError(f"{self.out / name} is not what was written: {fault}", fix="Check the disk.") from cause

    def finish(self) -> None:
        """Write the index, which completes the pack."""
        if not self.state.shards:
            raise DataError(f"None of the records of {self.source.name} can be read. Nothing is packed.")
        source, done = self.source, self.state.shards
        shards = tuple(Shard(name=d.name, split=d.split, size=d.size, records=d.records, sha256=d.sha256) for d in done)
        header = Header(
            name=source.name, container=self.state.format, modality=source.modality, task=source.task,
            classes=tuple(source.classes), channels=getattr(source, "channel_names", ()), shards=shards, arrays={},
            packed=True, resize=self.state.resize, unlabelled=getattr(source, "unlabelled", ()),
        )  # fmt: skip
        order = sorted(shards, key=lambda shard: (SPLITS.index(shard.split), shard.name))
        files = ShardFiles(header.name, self.store, {shard.name: shard.split for shard in order}, header.container)
        index_shards(files, self.out, packed=header)
        with storage_errors(self.out):
            (self.out / STATE).unlink()
