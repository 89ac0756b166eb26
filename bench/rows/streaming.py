"""Streaming: JPEGs of 500x375 on the disk to batches for training, with two cores.

All sides crop the largest central square, resize it to 224x224, mirror half of the images, and deliver normalised
float32 batches of 64 in random order. The peers:

DataLoader    two workers, Pillow and torch, as in PyTorch's own examples
webdataset    the same work on the same files in four tars, whose readers shuffle in memory

Speed is that of whole epochs, after one that starts the workers. Memory is the peak of all processes of a side
(proportional set size, so that shared pages count once) during an epoch, minus that of a process that has only imported
torch; each turn is a process of its own.
Targets: at least 1.3 times the images per second of a DataLoader, in at most 0.6 times its memory.
"""

import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from harness import Row, Sides, per_second
from harness.children import peak_memory, run_child
from harness.peers import import_peer
from harness.pictures import write_jpegs
from harness.row import Turn
from neocog.data import AugmentConfig, ImageFolder, ImagePreprocess
from neocog.loading import Loader, StreamingDataset

__all__ = ["ROWS"]

NUM, SIDE, BATCH, TARS = 640, 224, 64, 4
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Batches = Iterable[tuple[Tensor, Tensor]]


def decode(file: Path | io.BytesIO) -> Tensor:
    """Read, crop, resize, mirror and normalise with Pillow and torch."""
    image = Image.open(file).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    image = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
    if torch.rand(()) < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)
    return pixels.sub_(torch.tensor(MEAN).view(3, 1, 1)).div_(torch.tensor(STD).view(3, 1, 1))


class Images(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """The dataset that the DataLoader's workers read."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.rglob("*.jpg"))
        self.classes = sorted({path.parent.name for path in self.paths})

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = self.paths[index]
        return decode(path), self.classes.index(path.parent.name)


def by_loader(folder: Path) -> Batches:
    return torch.utils.data.DataLoader(Images(folder), BATCH, shuffle=True, num_workers=2, persistent_workers=True)


def by_webdataset(folder: Path) -> Batches:
    webdataset, _ = import_peer("webdataset")
    tars = sorted(map(str, folder.glob("*.tar")))
    dataset = webdataset.WebDataset(tars, shardshuffle=len(tars), workersplitter=webdataset.split_by_worker)
    dataset = dataset.shuffle(200).to_tuple("jpg", "cls").map(decode_pair)
    loader: Batches = torch.utils.data.DataLoader(dataset, BATCH, num_workers=2, persistent_workers=True)
    return loader


def decode_pair(pair: tuple[bytes, bytes]) -> tuple[Tensor, int]:
    return decode(io.BytesIO(pair[0])), int(pair[1])


def by_neocog(folder: Path) -> Batches:
    source = ImageFolder(folder)
    spec = ImagePreprocess(size=(SIDE, SIDE), channels=3, resize="crop", mean=MEAN, std=STD)
    dataset = StreamingDataset(source, np.arange(len(source)), spec, threads=2)
    loader = Loader(dataset, spec, batch_size=BATCH, seed=0, augment=AugmentConfig(flip=0.5))

    class Epochs:
        numbers = count()

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            epoch = next(self.numbers)
            return (loader.batch(epoch, step) for step in range(loader.num_steps))

    return Epochs()


WAYS: dict[str, Callable[[Path], Batches]] = {
    "Neocog": by_neocog,
    "DataLoader, two workers": by_loader,
    "webdataset, two workers": by_webdataset,
}


def write_tars(folder: Path) -> None:
    """Write the same files as shards of webdataset."""
    paths = sorted(folder.rglob("*.jpg"))
    for number in range(TARS):
        with tarfile.open(folder / f"{number}.tar", "w") as tar:
            for path in paths[number::TARS]:
                for suffix, content in (("jpg", path.read_bytes()), ("cls", path.parent.name[-1:].encode())):
                    member = tarfile.TarInfo(f"{path.stem}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def ways() -> tuple[dict[str, Callable[[Path], Batches]], dict[str, str]]:
    """Those that can take part, and why others can't."""
    _, reason = import_peer("webdataset")
    missing = {name: reason for name in WAYS if "webdataset" in name and reason}
    return {name: way for name, way in WAYS.items() if name not in missing}, missing


def moments(batches: Batches) -> tuple[Tensor, Tensor, Tensor]:
    """The number of samples of each class, and the mean and the mean square of all pixels by channel."""
    labels, means, squares = [], torch.zeros(3), torch.zeros(3)
    for images, found in batches:
        labels.append(found)
        means += images.sum((0, 2, 3)) / (NUM * SIDE * SIDE)
        squares += images.square().sum((0, 2, 3)) / (NUM * SIDE * SIDE)
    return torch.bincount(torch.cat(labels)), means, squares


def run_epoch(batches: Batches) -> None:
    assert sum(len(labels) for _, labels in batches) == NUM


def prepare_speed(folder: Path) -> Iterator[Sides]:
    torch.set_num_threads(1)  # leave the cores to the decoders
    write_jpegs(folder, NUM, (375, 500))
    write_tars(folder)
    chosen, missing = ways()
    sides = {name: way(folder) for name, way in reversed(chosen.items())}  # workers fork before there are threads
    (counts, *own), *others = [moments(sides[name]) for name in reversed(sides)]
    for peer_counts, *peer in others:
        assert torch.equal(counts, peer_counts)
        assert torch.allclose(torch.stack(own), torch.stack(peer), atol=0.02)  # of standard deviations of photographs
    turns = {name: per_second(NUM, partial(run_epoch, sides[name])) for name in chosen}
    yield Sides(turns, absent=missing)


def prepare_memory(folder: Path) -> Iterator[Sides]:
    write_jpegs(folder, NUM, (375, 500))
    write_tars(folder)
    chosen, missing = ways()
    turns: dict[str, Turn] = {name: partial(run_child, __file__, name, folder) for name in chosen}
    yield Sides(turns, absent=missing)


def measure_memory(name: str, folder: Path) -> None:
    """Print the most megabytes that an epoch needs, beyond those at the start."""
    torch.set_num_threads(1)
    with peak_memory() as peak:
        run_epoch(WAYS[name](folder))
    print(json.dumps(peak.megabytes))


WORK = f"JPEGs of 500x375 on the disk to batches of {BATCH} at {SIDE}x{SIDE}"
ROWS = (
    Row("streaming", "data", WORK, "images/s", "more", prepare_speed, target=1.3),
    Row("streaming-memory", "data", f"{WORK}: peak of memory", "MB", "less", prepare_memory, target=1 / 0.6, warmup=0),
)

if __name__ == "__main__":
    measure_memory(sys.argv[1], Path(sys.argv[2]))
