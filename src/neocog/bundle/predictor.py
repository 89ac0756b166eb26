"""The one way from inputs to predictions: `predict`, `eval`, the report, and all that will serve or export."""

import math
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

from neocog.bundle.signal_file import pick_fields, read_signal
from neocog.data import Payload, Preprocess, SignalPreprocess, Source, Views, pil_pixels, view_weights, views
from neocog.errors import ConfigError, DataError
from neocog.loading import load_in_memory
from neocog.modalities.signal.channel_names import has_fields
from neocog.modalities.table import MODALITIES
from neocog.progress import note, track
from neocog.tasks import Classification

__all__ = ["Engine", "Failure", "Input", "Prediction", "Predictor", "torch_engine"]

Engine = Callable[[Tensor], Tensor]
"""A batch of inputs (N, *shape) -> logits (N, K)."""

Input = str | Path | bytes | NDArray[Any] | Image.Image
"""A file, its content, an array as a source would hold it, or a Pillow image. A str is a path, or a text for a network
of texts."""

BATCH = 256
TEN_CROP = 0.875  # side of a crop: 224 of 256, as Krizhevsky et al. 2012 had it


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of one input."""

    name: str
    class_name: str
    probability: float
    top: tuple[tuple[str, float], ...]
    """The most probable classes with their probabilities, the first first."""
    pages: int = 1
    """How many pages or frames an image's file holds; only the first was read."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that could not be read, and why."""

    name: str
    error: str


def torch_engine(model: nn.Module) -> Engine:
    """A network in evaluation mode, without gradients, on the device that it is on.

    On a CPU its filters are laid out with their channels last, in place: convolutions take 0.3 to 1.0 of their time.
    """
    model.eval()
    if all(tensor.device.type == "cpu" for tensor in model.parameters()):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

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
        self.views: Views = "none"
        """Which views of each picture are averaged (augmentation at test time)."""
        self.task = Classification(classes)
        self.manifest = manifest or {}
        self.said: set[str] = set()
        """What a user was told of how inputs are read."""
        self.model: nn.Module | None = None
        """The network itself, where the engine is torch."""

    def predict(self, inputs: Input | Sequence[Input], top: int = 5) -> list[Prediction]:
        """One prediction for each input. Raises DataError for the first that can't be read."""
        found = list(self.predict_each(as_list(inputs, self.preprocess), top))
        for prediction in found:
            if isinstance(prediction, Failure):
                raise DataError(prediction.error)
        return [prediction for prediction in found if isinstance(prediction, Prediction)]

    def predict_proba(self, inputs: Input | Sequence[Input]) -> NDArray[np.float64]:
        """Probabilities (N, K), in the order of `classes`. Raises DataError for the first that can't be read."""
        decoded = [self.decode(one, name_of(one, i)) for i, one in enumerate(as_list(inputs, self.preprocess))]
        logits = self.logits(torch.stack(decoded)) if decoded else torch.empty(0, len(self.classes))
        return self.task.probabilities(logits).numpy()

    def predict_each(
        self, inputs: Iterable[Input], top: int = 5, names: Iterable[str] | None = None
    ) -> Iterator[Prediction | Failure]:
        """As `predict`, one after the other, with a Failure in the place of an input that can't be read."""
        named = zip(names, inputs, strict=True) if names else ((name_of(p, i), p) for i, p in enumerate(inputs))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while batch := list(islice(named, BATCH)):
                decoded = list(pool.map(self.try_decode, batch))
                images = [image for _, image, _ in decoded if isinstance(image, Tensor)]
                rows = iter(self.task.probabilities(self.logits(torch.stack(images))).tolist() if images else [])
                for name, image, pages in decoded:
                    yield self.prediction(name, next(rows), top, pages) if isinstance(image, Tensor) else image

    def prediction(self, name: str, probabilities: list[float], top: int, pages: int) -> Prediction:
        ranked = sorted(zip(self.classes, probabilities, strict=True), key=lambda pair: -pair[1])[:top]
        return Prediction(name, *ranked[0], tuple(ranked), pages)

    def try_decode(self, named: tuple[str, Input]) -> tuple[str, Tensor | Failure, int]:
        """The name of an input, what it is decoded to, and how many images its file holds."""
        name, one = named
        try:
            content = self.content(one, name)
            decoded = self.preprocess.decode(content, name)
            count = MODALITIES[self.preprocess.modality].count_pages
            return name, decoded, count(content) if count and isinstance(content, bytes) else 1
        except DataError as error:
            return name, Failure(name, str(error)), 1

    def decode(self, one: Input, name: str) -> Tensor:
        """An input in any form as the preprocessing decodes it; (*shape)."""
        return self.preprocess.decode(self.content(one, name), name)

    def content(self, one: Input, name: str) -> Payload:
        """An input in any form as a source would hold it."""
        if isinstance(one, Path) or (isinstance(one, str) and not MODALITIES[self.preprocess.modality].is_text):
            try:
                one = Path(one).read_bytes()
            except OSError as error:
                raise DataError(f"{name} can't be read: {error.strerror or error}. Check the path.") from error
        elif isinstance(one, Image.Image):
            spec = self.preprocess
            convert, channels = getattr(spec, "convert", False), getattr(spec, "channels", None)
            one = pil_pixels(one, name, convert=convert, channels=channels)
        if isinstance(self.preprocess, SignalPreprocess):
            one = self.signal_of(one, name)
        return one

    def signal_of(self, one: Payload, name: str) -> Payload:
        """A file's signal, or an array's, with its channels in the order of the network; what is done is said once."""
        assert isinstance(self.preprocess, SignalPreprocess)
        notices: tuple[str, ...] = ()
        if isinstance(one, bytes):
            one, notices = read_signal(one, self.preprocess, name)
        elif isinstance(one, np.ndarray) and has_fields(one.dtype):
            one, notices = pick_fields(one, self.preprocess, name)
        for notice in notices:
            if notice not in self.said:
                self.said.add(notice)
                note(f"{notice} (first in {name})")
        return one

    def logits(self, images: Tensor, plain: Tensor | None = None) -> Tensor:
        """Decoded inputs (N, *shape) -> logits (N, K); with several views, the logarithm of their mean probability.

        `plain` are the logits without views, where they are known; most kinds of views begin with them.
        """
        known = [None] * math.ceil(len(images) / BATCH) if plain is None else torch.split(plain, BATCH)
        parts = zip(torch.split(images, BATCH), known, strict=True)
        logits = torch.cat([self.logits_of_views(part, first) for part, first in parts])
        self.task.check_logits(logits)
        assert len(logits) == len(images), "samples in = samples scored"
        return logits

    def logits_of_views(self, images: Tensor, plain: Tensor | None = None) -> Tensor:
        """As `logits`, of a batch. Raises ConfigError for views of anything but pictures."""
        inputs = self.preprocess.normalise(images)
        if self.views == "none":
            return self.engine(inputs)
        if not MODALITIES[self.preprocess.modality].tta:
            raise ConfigError(
                f"Views are of pictures. The network takes inputs of the kind {self.preprocess.modality}. Leave them "
                "out."
            )
        height, width = inputs.shape[2:]
        crop = (round(height * TEN_CROP), round(width * TEN_CROP)) if self.views == "ten-crop" else None
        shares = view_weights(self.views).double()
        scored = [] if plain is None or crop else [plain]
        scored += [self.engine(seen) for seen in views(inputs, self.views, crop)[len(scored) :]]
        probabilities = sum(share * logits.double().softmax(1) for share, logits in zip(shares, scored, strict=True))
        return torch.as_tensor(probabilities).log().float()

    def logits_of(
        self,
        source: Source,
        indices: NDArray[np.int64],
        label: str = "evaluating",
        plain: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Logits (N, K) of records of a source, read and decoded a batch at a time; `plain` as in `logits`."""
        scored = []
        for start in track(range(0, len(indices), BATCH), label):
            part = slice(start, start + BATCH)
            inputs = load_in_memory(source, indices[part], self.preprocess, label).inputs
            scored.append(self.logits(inputs, None if plain is None else torch.from_numpy(plain[part])).numpy())
        logits = np.concatenate(scored)
        assert len(logits) == len(indices), "samples in = samples scored"
        return logits


def as_list(inputs: Input | Sequence[Input], preprocess: Preprocess) -> Sequence[Input]:
    """Many inputs, be it one: a single path, or an array of one input's shape."""
    if isinstance(inputs, str | Path | bytes | Image.Image):
        return [inputs]
    if isinstance(inputs, np.ndarray):
        return [inputs] if preprocess.is_one(inputs) else list(inputs)
    return list(inputs)


def name_of(one: Input, index: int) -> str:
    return str(one) if isinstance(one, str | Path) else f"input {index}"
