"""Shards: opening a packed data set, reading from it in random blocks, and the memory that this needs.

The data set has 10^6 tiny samples in tars of 10,000, so that bookkeeping counts rather than bytes. The peer is Hugging
Face's datasets, with the same samples as an Arrow file that is mapped into memory: it too reads any sample by its
number. webdataset reads shards from their start only, so it does not take part.
Neocog checks the SHA-256 of its index before the first read, and the header of every tar member in each read; Hugging
Face's datasets checks nothing. The time of the first read is not counted as opening; it is noted beside it.
Memory is the resident memory of a new process that opens the data set and reads 20,000 samples; with Neocog also of
one for 10^4 samples.
Targets: the data set of 10^6 opens in less than a second, and its process needs at most 5% more memory than that of
10^4.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from harness import Row, Sides, per_second, seconds_of
from harness.children import run_child
from harness.peers import import_peer
from harness.row import Turn
from neocog.files import file_hash
from neocog.shards import open_shards
from neocog.shards.index import Header, IndexWriter, Shard
from neocog.shards.write import TarWriter

__all__ = ["ROWS"]

MANY, FEW, PER_SHARD = 10**6, 10**4, 10_000
READ, BLOCK = 20_000, 100
CLASSES = tuple(str(k) for k in range(10))
PEER = "Hugging Face datasets"

ReadBlock = Callable[[int], list[tuple[Any, Any]]]  # texts and labels


def make_set(folder: Path, num: int) -> None:
    """Write tars of texts of a few bytes, and the index that packing would write; every shard has the same bytes."""
    folder.mkdir()
    first = folder / "train-000000.tar"
    places = write_shard(first)
    sha256, size = file_hash(first), first.stat().st_size
    shards = []
    with IndexWriter(folder) as writer:
        for number in range(num // PER_SHARD):
            name = f"train-{number:06}.tar"
            if number:
                (folder / name).hardlink_to(first)
            for place, (offset, length) in enumerate(places):
                writer.add(f"{name[:-4]}/{place:06}", number, offset, length, place % 10)
            shards.append(Shard(name=name, split="train", size=size, records=PER_SHARD, sha256=sha256))
        header = Header(
            name="tiny", container="tar", modality="text", task="classification", classes=CLASSES, shards=tuple(shards),
            arrays={},
        )  # fmt: skip
        writer.finish(header)


def text_of(place: int) -> str:
    return f"a few words {place}"


def write_shard(path: Path) -> list[tuple[int, int]]:
    """Write one shard; returns the offset and length of each sample."""
    places = []
    with path.open("wb") as file:
        writer = TarWriter(file)
        for place in range(PER_SHARD):
            start = writer.size
            writer.add(f"{place:06}", {"txt": text_of(place).encode(), "cls": str(place % 10).encode()})
            places.append((start, writer.size - start))
        writer.finish()
    return places


def make_peer_set(folder: Path, num: int) -> str:
    """Write the same samples as an Arrow file; returns why this is not possible, if it isn't."""
    datasets, reason = import_peer("datasets")
    if datasets:
        datasets.disable_progress_bars()
        places = np.arange(num) % PER_SHARD
        table = {"text": [text_of(place) for place in places.tolist()], "label": (places % 10).tolist()}
        datasets.Dataset.from_dict(table).save_to_disk(folder)
    return reason


def open_neocog(folder: Path) -> tuple[int, ReadBlock]:
    """The number of samples, and a function that reads a block of them as texts and labels."""
    source = open_shards(folder)

    def read(start: int) -> list[tuple[Any, Any]]:
        records = source.read_many(np.arange(start, start + BLOCK))
        return [(record.payload, record.target) for record in records]

    return len(source), read


def open_peer(folder: Path) -> tuple[int, ReadBlock]:
    dataset = import_peer("datasets")[0].load_from_disk(str(folder))

    def read(start: int) -> list[tuple[Any, Any]]:
        found = dataset[start : start + BLOCK]
        return list(zip(found["text"], found["label"], strict=True))

    return len(dataset), read


OPEN = {"neocog": open_neocog, "peer": open_peer}


def read_blocks(num: int, read: ReadBlock) -> None:
    """Read blocks of consecutive samples from random places."""
    starts = BLOCK * np.random.default_rng(0).integers(num // BLOCK, size=READ // BLOCK)
    assert sum(len(read(start)) for start in starts.tolist()) == READ


def make_sides(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """The folders of those that can take part, and why others can't; their first and last blocks are compared."""
    folders = {"neocog": folder / "many"}
    make_set(folders["neocog"], MANY)
    reason = make_peer_set(folder / "peer", MANY)
    if reason:
        return folders, {PEER: reason}
    folders["peer"] = folder / "peer"
    (num, own), (peer_num, peer) = (OPEN[way](path) for way, path in folders.items())
    assert num == peer_num
    assert all(own(start) == peer(start) for start in (0, MANY // 2, MANY - BLOCK))
    return folders, {}


NAMES = {"neocog": "Neocog", "peer": PEER}


def prepare_open(folder: Path) -> Iterator[Sides]:
    folders, absent = make_sides(folder)
    turns = {NAMES[way]: seconds_of(partial(OPEN[way], path), times=3) for way, path in folders.items()}
    first = 1e3 * first_read(folders["neocog"])
    yield Sides(turns, note=f"the first read, which checks Neocog's index, takes {first:.0f} ms more", absent=absent)


def first_read(folder: Path) -> float:
    """The seconds of the first read after opening, the least of three."""
    found = []
    for _ in range(3):
        read = open_neocog(folder)[1]
        start = time.perf_counter()
        read(0)
        found.append(time.perf_counter() - start)
    return min(found)


def prepare_read(folder: Path) -> Iterator[Sides]:
    folders, absent = make_sides(folder)
    turns = {NAMES[way]: per_second(READ, partial(read_blocks, *OPEN[way](path))) for way, path in folders.items()}
    yield Sides(turns, absent=absent)


def prepare_memory(folder: Path) -> Iterator[Sides]:
    folders, absent = make_sides(folder)
    make_set(folder / "few", FEW)
    turns: dict[str, Turn] = {
        "Neocog": partial(run_child, __file__, "neocog", folders["neocog"]),
        f"Neocog, {FEW:,} samples": partial(run_child, __file__, "neocog", folder / "few"),
    }
    if "peer" in folders:
        turns[PEER] = partial(run_child, __file__, "peer", folders["peer"])
    note = "resident memory of the process with all libraries, and with the pages of the Arrow file that were read"
    yield Sides(turns, note=note, absent=absent)


def measure_memory(way: str, folder: Path) -> None:
    """Open the data set and read; print the megabytes that the process holds then."""
    read_blocks(*OPEN[way](folder))
    print(json.dumps(psutil.Process().memory_info().rss / 1e6))


ROWS = (
    Row("shards-open", "data", f"Open {MANY:,} packed samples", "s", "less", prepare_open, limit=1.0),
    Row("shards-read", "data", f"Read blocks of {BLOCK} of {MANY:,} tiny samples", "samples/s", "more", prepare_read),
    Row(
        "shards-memory", "data", f"Memory of a process that reads {READ:,} of {MANY:,} samples", "MB", "less",
        prepare_memory, target=1 / 1.05, warmup=0,
    ),
)  # fmt: skip

if __name__ == "__main__":
    measure_memory(sys.argv[1], Path(sys.argv[2]))
