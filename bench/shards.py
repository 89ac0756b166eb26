"""Measure the time and memory that a sharded data set needs, by its number of samples.

    python bench/shards.py

The program creates two data sets of tiny samples, 10^4 and 10^6, in tars of 10,000. For each, a new process opens the
data set and reads 20,000 samples in random blocks. It prints the seconds to open the data set, the samples read per
second, and the resident memory of the process after reading. Targets: the data set of 10^6 opens in less than a second,
and its process needs at most 5% more memory than that of 10^4.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from neocog.files import file_hash
from neocog.shards import open_shards
from neocog.shards.index import Header, IndexWriter, Shard
from neocog.shards.write import TarWriter

SIZES = (10**4, 10**6)
PER_SHARD, READ, BLOCK = 10_000, 20_000, 100
CLASSES = tuple(str(k) for k in range(10))


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


def write_shard(path: Path) -> list[tuple[int, int]]:
    """Write one shard; returns the offset and length of each sample."""
    places = []
    with path.open("wb") as file:
        writer = TarWriter(file)
        for place in range(PER_SHARD):
            start = writer.size
            writer.add(f"{place:06}", {"txt": b"a few words", "cls": str(place % 10).encode()})
            places.append((start, writer.size - start))
        writer.finish()
    return places


def measure(folder: Path) -> None:
    """Open and read the data set; prints seconds, samples per second and bytes."""
    process = psutil.Process()
    began = time.perf_counter()
    source = open_shards(folder)
    opened = time.perf_counter() - began
    starts = BLOCK * np.random.default_rng(0).integers(len(source) // BLOCK, size=READ // BLOCK)
    began = time.perf_counter()
    read = 0
    for start in starts.tolist():
        read += len(source.read_many(np.arange(start, start + BLOCK)))
    rate = read / (time.perf_counter() - began)
    print(json.dumps({"opened": opened, "rate": rate, "memory": process.memory_info().rss}))


def main() -> None:
    print(f"{'samples':>12}{'open s':>12}{'samples/s':>12}{'memory MB':>12}")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for num in SIZES:
            path = Path(folder) / str(num)
            make_set(path, num)
            answer = subprocess.run([sys.executable, __file__, str(path)], check=True, capture_output=True, text=True)
            found[num] = json.loads(answer.stdout)
            values = found[num]
            print(f"{num:>12,}{values['opened']:>12.3f}{values['rate']:>12,.0f}{values['memory'] / 1e6:>12.1f}")
    few, many = (found[num]["memory"] for num in SIZES)
    print(f"memory for {SIZES[1]:,} samples / memory for {SIZES[0]:,}: {many / few:.3f}")


if __name__ == "__main__":
    measure(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
