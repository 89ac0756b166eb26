"""The one way from pictures to predictions: `predict`, `eval`, the report, and all that will serve or export."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from neocog.data import Preprocess, Source, image_pixels, load_resident
from neocog.errors import DataError
from neocog.progress import track
from neocog.tasks import Classification

__all__ = ["Engine", "Failure", "Picture", "Prediction", "Predictor", "torch_engine"]

Engine = Callable[[Tensor], Tensor]
"""A batch of inputs (N, C, H, W) float32 -> logits (N, K)."""

Picture = str | Path | bytes | NDArray[Any] | Image.Image
"""A file, its content, pixels (H, W) or (H, W, C), or a Pillow image."""

BATCH = 256


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of one picture."""

    name: str
    class_name: str
    probability: float
    top: tuple[tuple[str, float], ...]
    """The most probable classes with their probabilities, the first first."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that could not be read, and why."""

    name: str
    error: str


def torch_engine(model: nn.Module) -> Engine:
    """A network in evaluation mode, without gradients."""
    model.eval()

    def run(images: Tensor) -> Tensor:
        with torch.inference_mode():
            device = next(model.parameters()).device
            return model(images.to(device)).cpu()  # type: ignore[no-any-return]

    return run


class Predictor:
    """Preprocessing, an engine, and the classes that its logits stand for."""

    def __init__(
        self,
        engine: Engine,
        preprocess: Preprocess,
        classes: tuple[str, ...],
        manifest: dict[str, Any] | None = None,
    ) -> None:
        self.engine, self.preprocess, self.classes = engine, preprocess, classes
        self.task = Classification(classes)
        self.manifest = manifest or {}
        self.model: nn.Module | None = None
        """The network itself, where the engine is torch."""

    def predict(self, pictures: Picture | Sequence[Picture], top: int = 5) -> list[Prediction]:
        """One prediction for each picture. Raises DataError for the first that can't be read."""
        found = list(self.predict_each(as_list(pictures), top))
        for prediction in found:
            if isinstance(prediction, Failure):
                raise DataError(prediction.error)
        return [prediction for prediction in found if isinstance(prediction, Prediction)]

    def predict_proba(self, pictures: Picture | Sequence[Picture]) -> NDArray[np.float64]:
        """Probabilities (N, K), in the order of `classes`. Raises DataError for the first that can't be read."""
        decoded = [self.decode(picture, name_of(picture, i)) for i, picture in enumerate(as_list(pictures))]
        logits = self.logits(torch.stack(decoded)) if decoded else torch.empty(0, len(self.classes))
        return self.task.probabilities(logits).numpy()

    def predict_each(
        self, pictures: Iterable[Picture], top: int = 5, names: Iterable[str] | None = None
    ) -> Iterator[Prediction | Failure]:
        """As `predict`, one after the other, with a Failure in the place of a picture that can't be read."""
        named = zip(names, pictures, strict=True) if names else ((name_of(p, i), p) for i, p in enumerate(pictures))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while batch := list(islice(named, BATCH)):
                decoded = list(pool.map(self.try_decode, batch))
                images = [image for _, image in decoded if isinstance(image, Tensor)]
                rows = iter(self.task.probabilities(self.logits(torch.stack(images))).tolist() if images else [])
                for name, image in decoded:
                    yield self.prediction(name, next(rows), top) if isinstance(image, Tensor) else image

    def prediction(self, name: str, probabilities: list[float], top: int) -> Prediction:
        ranked = sorted(zip(self.classes, probabilities, strict=True), key=lambda pair: -pair[1])[:top]
        return Prediction(name, *ranked[0], tuple(ranked))

    def try_decode(self, named: tuple[str, Picture]) -> tuple[str, Tensor | Failure]:
        name, picture = named
        try:
            return name, self.decode(picture, name)
        except DataError as error:
            return name, Failure(name, str(error))

    def decode(self, picture: Picture, name: str) -> Tensor:
        """A picture in any form as the integers that the preprocessing makes of it; (C, H, W)."""
        if isinstance(picture, str | Path):
            try:
                picture = Path(picture).read_bytes()
            except OSError as error:
                raise DataError(f"{name} can't be read: {error.strerror or error}. Check the path.") from error
        elif isinstance(picture, Image.Image):
            picture = image_pixels(picture, name, convert=getattr(self.preprocess, "convert", False))
        return self.preprocess.decode(picture, name)

    def logits(self, images: Tensor) -> Tensor:
        """Decoded pictures (N, C, H, W) of integers -> logits (N, K)."""
        parts = [self.engine(self.preprocess.normalise(part)) for part in torch.split(images, BATCH)]
        logits = torch.cat(parts)
        self.task.check_logits(logits)
        assert len(logits) == len(images), "samples in = samples scored"
        return logits

    def logits_of(self, source: Source, indices: NDArray[np.int64], label: str = "evaluating") -> NDArray[np.float32]:
        """Logits (N, K) of records of a source, read and decoded a batch at a time."""
        parts = [indices[start : start + BATCH] for start in range(0, len(indices), BATCH)]
        scored = [
            self.logits(load_resident(source, part, self.preprocess, label).inputs).numpy()
            for part in track(parts, label)
        ]
        logits = np.concatenate(scored)
        assert len(logits) == len(indices), "samples in = samples scored"
        return logits


def as_list(pictures: Picture | Sequence[Picture]) -> Sequence[Picture]:
    """Many pictures, be it one: a single path, or an array of one picture's shape."""
    if isinstance(pictures, str | Path | bytes | Image.Image):
        return [pictures]
    if isinstance(pictures, np.ndarray) and (
        pictures.ndim == 2 or (pictures.ndim == 3 and pictures.shape[2] in (1, 3))
    ):
        return [pictures]
    return list(pictures)


def name_of(picture: Picture, index: int) -> str:
    return str(picture) if isinstance(picture, str | Path) else f"picture {index}"
