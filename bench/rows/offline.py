"""Predictions from files to an output file: images of 28x28 to a Parquet file with a class for each.

Neocog's side is `neocog predict FOLDER --out`, as `neocog.predict_files`: blocks that are kept on the way, so that a
run can be stopped. The peers can't be resumed, and hold all results in memory:

Predictor.predict    256 files at a time; the results are gathered and written to Parquet at the end
DataLoader           a plain PyTorch loop: a worker for each core, Pillow, the network in eager float32, softmax; the
                     results are gathered and written to Parquet at the end

The network is a LeNet-5 with random weights, so that files, decoding and rows count rather than the network: Neocog
computes such a small one in one thread, beside those that decode. All sides must give the same classes.
Memory is the peak of a process with its workers (proportional set size) over 4,000 files, beside that over 1,000: it
should not grow with the number of files.
Targets: at least 1.0 times the images/s of both; at most 5% more memory for four times as many files.
"""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from harness import Row, Sides, per_second
from harness.children import peak_memory, run_child
from harness.peers import import_peer
from harness.pictures import texture
from harness.row import Turn
from neocog.bundle import Predictor, load, torch_backend, write_bundle
from neocog.cpus import num_cpus, num_threads
from neocog.data import ImagePreprocess
from neocog.offline import predict_files
from neocog.progress import quiet
from neocog.tasks import Classification
from neocog.zoo import create_model

__all__ = ["ROWS"]

NUM, MANY, FEW = 2_000, 4_000, 1_000
BATCH, BLOCK, SIDE = 256, 200, 28
CLASSES = tuple(f"class {k}" for k in range(10))

Way = Callable[[Path], None]


def write_files(folder: Path, num: int) -> None:
    """Write grey PNGs and the bundle of a network with random weights that is fitted to nothing."""
    wide = 128 + 50 * texture((SIDE, SIDE * 64), 1.5, 0)
    (folder / "images").mkdir()
    for i in range(num):
        place = i * 7 % (63 * SIDE)
        image = Image.fromarray(wide[:, place : place + SIDE].clip(0, 255).astype(np.uint8))
        image.save(folder / "images" / f"{i:05}.png")
    torch.manual_seed(0)
    spec = ImagePreprocess(size=(SIDE, SIDE), channels=1, pad=(2, 2), mean=(0.5,), std=(0.2,))
    model = create_model("lenet5_relu", num_classes=len(CLASSES), in_channels=1).eval()
    for parameter in model.parameters():  # the answers of untrained networks hardly depend on their input
        parameter.data *= 3
    predictor = Predictor(torch_backend(model), spec, Classification(CLASSES), model=model)
    about = {"name": "lenet5_relu", "num_classes": len(CLASSES), "in_channels": 1, "options": {}}
    golden = [(folder / "images" / "00000.png").read_bytes()]
    write_bundle(folder / "model.neocog", model, predictor, golden, {"model": about})


class Files(Dataset[Tensor]):
    """Decoded and padded images, as a tutorial would read them; (C, H, W) float32."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        pixels: NDArray[np.uint8] = np.pad(np.asarray(Image.open(self.paths[index]).convert("L")), 2)
        return torch.from_numpy(pixels)[None].float() / 255


def paths_in(folder: Path) -> list[str]:
    return sorted(map(str, (folder / "images").glob("*.png")))


def write_rows(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / f"{name}.parquet")


def by_offline(folder: Path) -> None:
    with quiet():
        predict_files(folder / "model.neocog", folder / "images", folder / "offline.parquet", block=BLOCK, restart=True)


def by_predict(folder: Path) -> None:
    predictor, paths = load(folder / "model.neocog"), paths_in(folder)
    rows: list[dict[str, Any]] = []
    for start in range(0, len(paths), BATCH):
        found = predictor.predict(paths[start : start + BATCH])
        rows += [{"file": one.name, **one.to_json()} for one in found]
    write_rows(folder, "predict", rows)


def by_loader(folder: Path) -> None:
    predictor, paths = load(folder / "model.neocog"), paths_in(folder)
    spec, model = predictor.preprocess, predictor.model
    assert model is not None
    assert isinstance(spec, ImagePreprocess)
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    rows: list[dict[str, Any]] = []
    with torch.inference_mode():
        for images in DataLoader(Files(paths), batch_size=BATCH, num_workers=num_cpus()):
            shares = model.eval()((images - mean) / std).softmax(dim=1)
            for share, k in zip(*map(Tensor.tolist, shares.max(dim=1)), strict=True):
                rows.append({"file": paths[len(rows)], "class": predictor.classes[k], "probability": share})
    write_rows(folder, "loader", rows)


WAYS: dict[str, tuple[str, Way]] = {
    "Neocog": ("offline", by_offline),
    "Predictor.predict": ("predict", by_predict),
    "DataLoader": ("loader", by_loader),
}


def check_alike(folder: Path) -> str:
    """Run each way; fail unless all give the same classes for the same files."""
    from pyarrow import parquet

    answers = []
    for name, way in WAYS.values():
        way(folder)
        table = parquet.read_table(folder / f"{name}.parquet", columns=["file", "class"]).to_pydict()
        answers.append((table["file"], table["class"]))
    files, classes = answers[0]
    assert len(files) == NUM
    for other_files, other_classes in answers[1:]:
        assert files == other_files
        assert classes == other_classes
    return f"{len(set(classes))} classes occur among the answers, which are the same"


def prepare_speed(folder: Path) -> Iterator[Sides]:
    torch.set_num_threads(num_threads())
    _, reason = import_peer("pyarrow")
    assert not reason, "Parquet needs pyarrow"
    write_files(folder, NUM)
    note = check_alike(folder)
    yield Sides({name: per_second(NUM, partial(way, folder)) for name, (_, way) in WAYS.items()}, note=note)


def prepare_memory(folder: Path) -> Iterator[Sides]:
    many, few = folder / "many", folder / "few"
    for path, num in ((many, MANY), (few, FEW)):
        path.mkdir()
        write_files(path, num)
    turns: dict[str, Turn] = {
        "Neocog": partial(run_child, __file__, "Neocog", many),
        f"Neocog, {FEW:,} files": partial(run_child, __file__, "Neocog", few),
        "DataLoader": partial(run_child, __file__, "DataLoader", many),
    }
    yield Sides(turns, note=f"peak with all libraries; Neocog in blocks of {BLOCK} files")


def measure_memory(name: str, folder: Path) -> None:
    """Print the most megabytes that a process and its children hold."""
    torch.set_num_threads(num_threads())
    with peak_memory() as peak:
        WAYS[name][1](folder)
    print(json.dumps(peak.most / 1e6))


ROWS = (
    Row("offline", "data", f"{NUM:,} PNGs to a Parquet file of predictions", "images/s", "more", prepare_speed, 1.0),
    Row(
        "offline-memory", "data", f"Memory for {MANY:,} PNGs to a Parquet file of predictions", "MB", "less",
        prepare_memory, target=1 / 1.05, warmup=0,
    ),
)  # fmt: skip

if __name__ == "__main__":
    measure_memory(sys.argv[1], Path(sys.argv[2]))
