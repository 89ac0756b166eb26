"""Measure predictions from files to an output file, beside two plain loops.

    python bench/offline.py BUNDLE FOLDER [--files 2000] [--repeats 3]

    offline   neocog.predict_files: files -> a Parquet file, blocks of the default size
    predict   Predictor.predict for 256 files at a time, the results gathered and written to Parquet at the end
    loader    a plain PyTorch loop: a DataLoader with a worker for each core, Pillow, the network in eager float32,
              softmax, the results gathered and written to Parquet at the end

The loops are taken in turns, and each figure is the best of --repeats. The plain loops can't be resumed, and hold all
results in memory. FOLDER holds images; if there are fewer than --files, they are listed several times.
Targets: offline at least 1.0 times the images/s of predict and of loader. Memory (RSS)
is that of the first tenth of the blocks and of the last; target: at most 5% more.
"""

import argparse
import itertools
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow
import torch
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from neocog.bundle import Predictor, load
from neocog.cpus import num_cpus, num_threads
from neocog.offline import predict_files
from neocog.offline.listing import walk_sorted
from neocog.progress import quiet

BATCH = 256


class Files(Dataset[Tensor]):
    """Decoded and resized images, as a tutorial would read them; (C, H, W) float32."""

    def __init__(self, paths: list[str], predictor: Predictor) -> None:
        self.paths, self.shape = paths, predictor.preprocess.shape

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        channels, height, width = self.shape
        image = Image.open(self.paths[index]).convert("L" if channels == 1 else "RGB")
        pixels: NDArray[np.uint8] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        return torch.from_numpy(pixels.reshape(height, width, channels).copy()).permute(2, 0, 1).float() / 255


def by_offline(bundle: Path, paths: list[str], folder: Path) -> None:
    listed = folder / "files.txt"
    listed.write_text("\n".join(paths))
    with quiet():
        predict_files(bundle, [], folder / "offline.parquet", listed=listed)


def by_predict(bundle: Path, paths: list[str], folder: Path) -> None:
    predictor, rows = load(bundle), []
    for start in range(0, len(paths), BATCH):
        part = paths[start : start + BATCH]
        rows += [{"file": one.name, **one.to_json()} for one in predictor.predict(part)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "predict.parquet")


def by_loader(bundle: Path, paths: list[str], folder: Path) -> None:
    predictor, rows = load(bundle), []
    assert predictor.model is not None
    model = predictor.model.eval()
    spec: Any = predictor.preprocess
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    loader = DataLoader(Files(paths, predictor), batch_size=64, num_workers=num_cpus())
    with torch.inference_mode():
        for images in loader:
            shares = model((images - mean) / std).softmax(dim=1)
            for share, k in zip(*map(Tensor.tolist, shares.max(dim=1)), strict=True):
                rows.append({"class": predictor.classes[k], "probability": share})
    table = pyarrow.Table.from_pylist([{"file": path, **row} for path, row in zip(paths, rows, strict=True)])
    parquet.write_table(table, folder / "loader.parquet")


def seconds(work: Callable[[Path, list[str], Path], None], bundle: Path, paths: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        work(bundle, paths, Path(folder))
        return time.perf_counter() - start


def memory_growth(bundle: Path, paths: list[str]) -> tuple[float, float]:
    """The most memory (RSS) in MiB in the first tenth of a run, from its first block on, and in the last."""
    seen: list[tuple[int, float]] = []
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        done = Path(folder) / "offline.parquet.parts" / "done"

        def watch() -> None:
            while not stop.wait(0.1):
                blocks = sum(1 for _ in done.iterdir()) if done.is_dir() else 0
                seen.append((blocks, psutil.Process().memory_info().rss / 2**20))

        thread = threading.Thread(target=watch)
        thread.start()
        by_offline(bundle, paths, Path(folder))
        stop.set()
        thread.join()
    working = [rss for blocks, rss in seen if blocks]
    tenth = max(1, len(working) // 10)
    return max(working[:tenth]), max(working[-tenth:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, default=0, help="files over which memory is measured; 0: it isn't")
    given = parser.parse_args()
    torch.set_num_threads(num_threads())
    predictor = load(given.bundle)
    found = itertools.cycle(
        walk_sorted(given.folder, frozenset({".png", ".jpg", ".jpeg"}), __import__("collections").Counter())
    )
    paths = [path for path, _ in zip(found, range(given.files), strict=False)]
    print(
        f"{platform.processor() or platform.machine()}, {num_threads()} threads, torch {torch.__version__}; "
        f"{predictor.manifest['model']['name']} at {predictor.preprocess.shape}, {len(paths):,} files"
    )
    ways = {"offline": by_offline, "predict": by_predict, "loader": by_loader}
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(given.repeats):
        for name, way in ways.items():
            best[name] = min(best[name], seconds(way, given.bundle, paths))
    for name, taken in best.items():
        print(f"{name:8} {len(paths) / taken:8,.0f} images/s   {best[name] / best['offline']:.2f} times offline's time")
    if given.memory:
        many = [path for path, _ in zip(itertools.cycle(paths), range(given.memory), strict=False)]
        first, last = memory_growth(given.bundle, many)
        print(f"memory over {len(many):,} files: {first:,.0f} MiB, then {last:,.0f} MiB: {last / first - 1:+.1%}")


if __name__ == "__main__":
    main()
