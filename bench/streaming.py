"""Compare Neocog's streaming loader with a DataLoader with two workers, on JPEGs and two cores.

    python bench/streaming.py

2,000 JPEGs of 500x375 lie in a folder. Both loaders crop the largest central square, resize it to 224x224, mirror half
of the images, and deliver normalised float32 batches of 64 in random order, for one epoch. The DataLoader does so with
Pillow and torch, as in PyTorch's own examples. Each loader runs in its own process, the two alternate; medians.
Memory is the peak of all its processes (proportional set size, so that shared pages count once), minus that of a
process that has only imported torch.
Targets: at least 1.3 times the images per second, in at most 0.6 times the memory.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image
from torch import Tensor

from decode import draw  # beside this file
from neocog.data import AugmentConfig, ImageFolder, ImagePreprocess
from neocog.loading import Loader, StreamingDataset

NUM, SIDE, BATCH, TURNS = 2_000, 224, 64, 3
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Images(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """The dataset that the DataLoader's workers read."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.rglob("*.jpg"))
        self.classes = sorted({path.parent.name for path in self.paths})

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.open(self.paths[index]).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        image = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
        if torch.rand(()) < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)
        pixels.sub_(torch.tensor(MEAN).view(3, 1, 1)).div_(torch.tensor(STD).view(3, 1, 1))
        return pixels, self.classes.index(self.paths[index].parent.name)


def theirs(folder: Path) -> int:
    """Run an epoch of the DataLoader; returns the number of images."""
    loader = torch.utils.data.DataLoader(Images(folder), BATCH, shuffle=True, num_workers=2)
    return sum(len(labels) for _, labels in loader)


def ours(folder: Path) -> int:
    """Run an epoch of Neocog's streaming loader; returns the number of images."""
    source = ImageFolder(folder)
    spec = ImagePreprocess(size=(SIDE, SIDE), channels=3, resize="crop", mean=MEAN, std=STD)
    dataset = StreamingDataset(source, np.arange(len(source)), spec, threads=2)
    loader = Loader(dataset, spec, batch_size=BATCH, seed=0, augment=AugmentConfig(flip=0.5))
    count = sum(len(loader.batch(0, step)[1]) for step in range(loader.num_steps))
    dataset.close()
    return count


WAYS = {"ours": ours, "theirs": theirs}


def held() -> int:
    """Bytes of memory that this process and its children use."""
    total = 0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it has just ended
            continue
    return total


def run(way: str, folder: Path) -> None:
    """Print images per second, and the peak of memory beyond that at the start."""
    torch.set_num_threads(1)  # leave the cores to the decoders
    start, most, done = held(), [0], threading.Event()

    def sample_memory() -> None:
        while not done.wait(0.1):
            most[0] = max(most[0], held())

    sampler = threading.Thread(target=sample_memory, daemon=True)
    sampler.start()
    began = time.perf_counter()
    count = WAYS[way](folder)
    seconds = time.perf_counter() - began
    done.set()
    sampler.join()
    assert count == NUM
    print(count / seconds, most[0] - start)


def main() -> None:
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        payload = draw((375, 500), 1.5)
        for i in range(NUM):
            path = folder / f"class{i % 10}" / f"{i:04}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(payload)
        for _ in range(TURNS):
            for way, figures in found.items():
                out = subprocess.run([sys.executable, __file__, way, temporary], check=True, capture_output=True)
                speed, memory = map(float, out.stdout.split())
                figures.append((speed, memory))
    medians = {way: tuple(map(statistics.median, zip(*figures, strict=True))) for way, figures in found.items()}
    for way, (speed, memory) in medians.items():
        print(f"{way:>7}: {speed:7.0f} images/s, {memory / 1e6:6.0f} MB")
    (fast, small), (slow, large) = medians["ours"], medians["theirs"]
    print(f"speed {fast / slow:.2f}x (target: at least 1.3), memory {small / large:.2f}x (target: at most 0.6)")
    print(f"{os.cpu_count()} cores, {platform.platform()}, torch {torch.__version__}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
