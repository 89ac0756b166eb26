"""The one way from inputs to predictions: `predict`, `eval`, the report, and everything that serves or exports."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from neocog.bundle.dense_pass import BATCH, DensePass, Failure
from neocog.bundle.fused import FusedBackend
from neocog.bundle.signal_file import pick_fields, read_signal
from neocog.cpus import num_cpus
from neocog.dataset.record import Payload, Record, Source
from neocog.engines.engine import Backend, compute_logits, name_of_backend
from neocog.errors import ConfigError, DataError
from neocog.modalities.image.decode import pil_pixels
from neocog.modalities.image.tta import TTA, tta_views, tta_weights
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.signal.channel_names import has_fields
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.table import MODALITIES
from neocog.modalities.views import Views
from neocog.progress import note, track
from neocog.tasks import Compared, DenseTask, Prediction, Task

__all__ = ["BATCH", "Failure", "Input", "Predictor"]

Input = str | Path | bytes | NDArray[Any] | Image.Image
"""A file, its content, an array as a source would hold it, or a Pillow image. A str is a path, or the text itself for a
network that reads texts."""

TEN_CROP = 0.875  # side of a crop: 224 of 256, as in Krizhevsky et al. 2012


@dataclass(frozen=True, slots=True)
class Raw:
    """The payload of a record, which is taken as it is."""

    payload: Payload


class Predictor:
    """Preprocessing, a backend, and the task that gives the logits their meaning.

    `tta` names the test-time augmentation over which predictions for images are averaged; by default that of the
    bundle, which training chose by validation data if it could choose.
    """

    def __init__(
        self,
        backend: Backend,
        preprocess: Preprocess,
        task: Task,
        *,
        manifest: dict[str, Any] | None = None,
        model: nn.Module | None = None,
    ) -> None:
        """`model` is the network itself, if there is one; its weights are used by `explain` and by every engine."""
        self.backend, self.preprocess, self.task, self.model = backend, preprocess, task, model
        eager = model is not None and name_of_backend(backend) == "eager"
        self.tiles: Backend = FusedBackend(model) if model is not None and eager else backend
        """For inputs of many views."""
        self.manifest = manifest or {}
        self.tta: TTA = self.manifest.get("tta", "none")
        """Used where none is asked for."""
        self.notices: set[str] = set()
        """Notices on how inputs are read that the user has seen."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return self.task.classes

    @property
    def backend_name(self) -> str:
        """The engine that computes: `eager`, `compiled`, `onnxruntime`, `openvino-bf16`, ..."""
        return name_of_backend(self.backend)

    def with_backend(self, backend: Backend) -> Self:
        """The same predictor with another engine."""
        made = type(self)(backend, self.preprocess, self.task, manifest=self.manifest, model=self.model)
        made.notices = self.notices
        return made

    def predict(self, inputs: Input | Sequence[Input], top: int = 5, tta: TTA | None = None) -> list[Prediction]:
        """One prediction for each input. Raises DataError for the first that can't be read."""
        found = list(self.predict_each(as_list(inputs, self.preprocess), top, tta=tta))
        for prediction in found:
            if isinstance(prediction, Failure):
                raise DataError(prediction.error)
        return [prediction for prediction in found if isinstance(prediction, Prediction)]

    def predict_proba(self, inputs: Input | Sequence[Input], tta: TTA | None = None) -> NDArray[np.float64]:
        """Probabilities (N, K), in the order of `classes`.

        Raises DataError for the first input that can't be read, and ConfigError if the network does not predict
        classes; `predict_values` does for any task.
        """
        if not self.task.has_probabilities:
            raise ConfigError(
                "Only classifiers have probabilities.", received=f"a network for {self.task.name}",
                fix="Use predict or predict_values.",
            )  # fmt: skip
        return self.predict_values(inputs, tta)

    def predict_values(self, inputs: Input | Sequence[Input], tta: TTA | None = None) -> NDArray[np.float64]:
        """Decoded outputs (N, K): probabilities of a classifier, else values in the unit of the targets.

        Raises ConfigError for a network whose outputs have places, such as masks or boxes.
        """
        if self.task.dense:
            raise ConfigError(
                "Only outputs without places make a table of values.", received=f"a network for {self.task.name}",
                fix="Use predict.",
            )  # fmt: skip
        decoded = [self.decode(one, name_of(one, i)) for i, one in enumerate(as_list(inputs, self.preprocess))]
        logits = (
            self.logits(torch.stack(decoded), tta or self.tta) if decoded else torch.empty(0, self.task.num_outputs)
        )
        return self.task.decode(logits).numpy()

    def predict_each(
        self, inputs: Iterable[Input], top: int = 5, names: Iterable[str] | None = None, tta: TTA | None = None
    ) -> Iterator[Prediction | Failure]:
        """As `predict`, one after the other, with a Failure in the place of an input that can't be read."""
        named = zip(names, inputs, strict=True) if names else ((name_of(p, i), p) for i, p in enumerate(inputs))
        if isinstance(self.task, DenseTask):
            self.refuse_tta(tta)
            yield from self.predict_dense(named, self.task)
            return
        with ThreadPoolExecutor(num_cpus()) as pool:
            while batch := list(islice(named, BATCH)):
                decoded = list(pool.map(self.try_decode, batch))
                read = [(name, image) for name, image, _ in decoded if isinstance(image, Tensor)]
                logits = (
                    self.logits(torch.stack([image for _, image in read]), tta or self.tta) if read else torch.empty(0)
                )
                found = iter(self.task.predictions([name for name, _ in read], logits, top) if read else [])
                for _, image, pages in decoded:
                    yield replace(next(found), pages=pages) if isinstance(image, Tensor) else image

    def predict_dense(
        self, named: Iterable[tuple[str, "Input | Raw"]], task: DenseTask
    ) -> Iterator[Prediction | Failure]:
        """As `predict_each`, for outputs that have places: each input in views, and its outputs put together again."""
        yield from DensePass(task, self.preprocess, self.open, self.backend, self.tiles).predictions(named)

    def open(self, one: "Input | Raw", name: str) -> tuple[Views, int]:
        """The views of an input, and how many images its file holds. Raises DataError for one that can't be read."""
        content = self.content(one, name)
        views = self.preprocess.views(content, name)
        count = MODALITIES[self.preprocess.modality].count_pages
        return views, count(content) if count and isinstance(content, bytes) else 1

    def predict_records(self, records: Sequence[Record]) -> list[Prediction]:
        """Predictions for records, whose payloads are taken as they are. Raises DataError for the first unreadable."""
        return self.predict_payloads([(record.key, record.payload) for record in records])

    def predict_payloads(self, named: Sequence[tuple[str, Payload]]) -> list[Prediction]:
        """As `predict_records`, for payloads with their names."""
        task = self.task
        assert isinstance(task, DenseTask)
        found = list(self.predict_dense([(name, Raw(payload)) for name, payload in named], task))
        for prediction in found:
            if isinstance(prediction, Failure):
                raise DataError(prediction.error)
        return [prediction for prediction in found if isinstance(prediction, Prediction)]

    def refuse_tta(self, tta: TTA | None) -> None:
        """Raises ConfigError for test-time augmentation, which is for outputs without places."""
        if tta not in (None, "none"):
            raise ConfigError(
                "Test-time augmentation is for outputs without places.",
                received=f"tta={tta!r} for a network for {self.task.name}",
                fix="Leave it out.",
            )

    def compare_records(
        self, source: Source, indices: NDArray[np.int64], tta: TTA | None = None, label: str = "evaluating"
    ) -> list[Compared]:
        """Predictions for these records of a source beside their targets, as a `DenseTask` keeps them.

        Raises DataError for the first record that can't be read, and ConfigError for test-time augmentation.
        """
        task = self.task
        self.refuse_tta(tta)
        assert isinstance(task, DenseTask)
        records: deque[Record] = deque()

        def payloads() -> Iterator[tuple[str, Any]]:
            for index in indices.tolist():
                records.append(record := source.read(index))
                yield record.key, Raw(record.payload)

        found: list[Compared] = []
        for prediction in track(self.predict_dense(payloads(), task), label, total=len(indices)):
            if isinstance(prediction, Failure):
                raise DataError(prediction.error)
            found.append(task.compare(prediction, records.popleft()))
        assert len(found) == len(indices), "samples in = samples scored"
        return found

    def try_decode(self, named: tuple[str, Input]) -> tuple[str, Tensor | Failure, int]:
        """The name of an input, its decoded values, and how many images its file holds."""
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

    def content(self, one: "Input | Raw", name: str) -> Payload:
        """An input in any form as a source would hold it."""
        if isinstance(one, Raw):
            return one.payload
        if isinstance(one, Path) or (isinstance(one, str) and not MODALITIES[self.preprocess.modality].is_text):
            try:
                one = Path(one).read_bytes()
            except OSError as error:
                raise DataError(f"{name} can't be read: {error.strerror or error}.", fix="Check the path.") from error
        elif isinstance(one, Image.Image):
            spec = self.preprocess
            convert, channels = getattr(spec, "convert", False), getattr(spec, "channels", None)
            one = pil_pixels(one, name, convert=convert, channels=channels)
        if isinstance(self.preprocess, SignalPreprocess):
            one = self.match_signal(one, self.preprocess, name)
        return one

    def match_signal(self, one: Payload, preprocess: SignalPreprocess, name: str) -> Payload:
        """The signal of a file or an array with its channels in the order of the network; each notice is told once."""
        notices: tuple[str, ...] = ()
        if isinstance(one, bytes):
            one, notices = read_signal(one, preprocess, name)
        elif isinstance(one, np.ndarray) and has_fields(one.dtype):
            one, notices = pick_fields(one, preprocess, name)
        for notice in notices:
            if notice not in self.notices:
                self.notices.add(notice)
                note(f"{notice} (first in {name})")
        return one

    def logits(self, images: Tensor, tta: TTA = "none", plain: Tensor | None = None) -> Tensor:
        """Decoded inputs (N, *shape) -> logits (N, K), averaged by the task over the views of `tta`.

        `plain` are the logits without test-time augmentation, if they are known; most kinds of it begin with them.
        """
        known = [None] * math.ceil(len(images) / BATCH) if plain is None else torch.split(plain, BATCH)
        parts = zip(torch.split(images, BATCH), known, strict=True)
        logits = torch.cat([self.batch_logits(part, tta, first) for part, first in parts])
        self.task.check_logits(logits)
        assert len(logits) == len(images), "samples in = samples scored"
        return logits

    def batch_logits(self, images: Tensor, tta: TTA, plain: Tensor | None) -> Tensor:
        """As `logits`, of one batch. Raises ConfigError for test-time augmentation of anything but images."""
        if tta == "none":
            return compute_logits(self.backend, self.preprocess.normalise, images)
        inputs = self.preprocess.normalise(images)
        if not MODALITIES[self.preprocess.modality].tta:
            raise ConfigError(
                "Test-time augmentation is for images.",
                received=f"tta={tta!r} for a network that takes {self.preprocess.modality} inputs",
                fix="Leave it out.",
            )
        height, width = inputs.shape[2:]
        crop = (round(height * TEN_CROP), round(width * TEN_CROP)) if tta == "ten-crop" else None
        scored = [] if plain is None or crop else [plain]
        scored += [self.backend(view) for view in tta_views(inputs, tta, crop)[len(scored) :]]
        return self.task.average(scored, tta_weights(tta).double().tolist())

    def logits_of(
        self,
        source: Source,
        indices: NDArray[np.int64],
        label: str = "evaluating",
        tta: TTA = "none",
        plain: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Logits (N, K) of records of a source, read and decoded a batch at a time; `plain` as in `logits`."""
        from neocog.loading import load_in_memory  # with data loaders and augmentation, which predictions do not need

        scored = []
        for start in track(range(0, len(indices), BATCH), label):
            part = slice(start, start + BATCH)
            inputs = load_in_memory(source, indices[part], self.preprocess, label).inputs
            scored.append(self.logits(inputs, tta, None if plain is None else torch.from_numpy(plain[part])).numpy())
        logits = np.concatenate(scored)
        assert len(logits) == len(indices), "samples in = samples scored"
        return logits


def as_list(inputs: Input | Sequence[Input], preprocess: Preprocess) -> Sequence[Input]:
    """Inputs as a list; a single path, or an array of one input's shape, is a list of one."""
    if isinstance(inputs, str | Path | bytes | Image.Image):
        return [inputs]
    if isinstance(inputs, np.ndarray):
        return [inputs] if preprocess.is_one(inputs) else list(inputs)
    return list(inputs)


def name_of(one: Input, index: int) -> str:
    return str(one) if isinstance(one, str | Path) else f"input {index}"
