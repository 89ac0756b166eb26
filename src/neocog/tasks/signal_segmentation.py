"""A class for each sample of a signal."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from neocog.cpus import num_cpus
from neocog.dataset.record import UNLABELLED, Record, Source
from neocog.evaluation.segmentation import class_dices, count_pixels, mean_known
from neocog.evaluation.signal_segmentation import Event, SignalSegmented, evaluate_segments, event_counts, find_events
from neocog.modalities.draw import Drawing, draw_curves, thumbnail
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.signal.augment import move_labels
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.signal.segments import place_labels
from neocog.modalities.tensor_spec import TensorSpec
from neocog.modalities.views import View
from neocog.tasks.colours import class_colours, css_colours
from neocog.tasks.criterion import Criterion
from neocog.tasks.dense import Assembler, Compared
from neocog.tasks.segmentation import Segmentation
from neocog.tasks.stitch import Stitcher
from neocog.tasks.task import MoveTargets, Prediction, register_task

__all__ = ["SegmentCompared", "SignalSegmentPrediction", "SignalSegmentation", "draw_trace"]

WIDTH, HEIGHT, BAND = 360, 96, 12
"""Of a drawing, in pixels: the curve, and each band of classes below it."""


@dataclass(frozen=True, slots=True)
class SignalSegmentPrediction(Prediction):
    """The class of each sample of one signal."""

    classes: tuple[str, ...]
    labels: NDArray[np.uint8]
    """(L,)."""
    confidence: float
    """The mean probability of the predicted classes."""

    @property
    def events(self) -> list[Event]:
        """The runs of one class: first sample, the one behind the last, and class."""
        return find_events(self.labels, len(self.classes))

    def to_json(self) -> dict[str, Any]:
        runs = [{"start": a, "end": b, "class": self.classes[k]} for a, b, k in self.events]
        return {"length": len(self.labels), "confidence": self.confidence, "segments": runs}

    def cells(self) -> dict[str, str]:
        events = self.events
        shown = ", ".join(f"{self.classes[k]} {a:,}-{b:,}" for a, b, k in events[:4]) + (" ..." if events[4:] else "")
        return {"samples": f"{len(self.labels):,}", "segments": shown, "confidence": f"{self.confidence:.1%}"}


@dataclass(frozen=True, slots=True)
class SegmentCompared(Compared):
    """The samples and the events of one signal, counted."""

    confusion: NDArray[np.int64]
    events: NDArray[np.int64]


@register_task
class SignalSegmentation(Segmentation):
    """As `Segmentation`, along time: the most probable class of each sample.

    A target is (L,) uint8, 255 where nothing is known: such samples don't count anywhere.
    """

    name = "signal segmentation"
    network_task = "signal segmentation"
    criterion = Criterion("F1")
    progress_metric = "sample accuracy"
    columns: ClassVar[tuple[str, ...]] = ("length", "confidence")
    outputs_rule = "The network must give one number for each of {num} classes at every sample."
    drawn = "The signal over two bands in the colours of its classes: the true ones above, the predicted ones below"

    @property
    def outputs_text(self) -> str:
        return f"{len(self.classes)} classes of samples"

    @property
    def legend(self) -> list[tuple[str, str]]:
        return list(zip(self.classes, css_colours(len(self.classes)), strict=True))

    @classmethod
    def encode_records(cls, source: Source, indices: NDArray[np.int64], preprocess: Preprocess) -> Tensor:
        """The labels at the network's length; (N, L) uint8."""
        assert isinstance(preprocess, SignalPreprocess)
        found = torch.empty(len(indices), preprocess.length, dtype=torch.uint8)

        def encode(place: int) -> None:
            labels = source.read(int(indices[place])).target
            assert isinstance(labels, np.ndarray), "a class for each sample"
            found[place] = torch.from_numpy(np.ascontiguousarray(place_labels(labels, preprocess)))

        with ThreadPoolExecutor(num_cpus()) as pool:
            list(pool.map(encode, range(len(indices))))
        return found

    @classmethod
    def mover(cls, augment: Any, preprocess: Preprocess) -> MoveTargets | None:
        if augment is None or not (augment.shift or augment.warp):
            return None
        return lambda targets, key: move_labels(targets, augment, key, UNLABELLED)

    def validation(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        count, found = len(self.classes), logits.numpy()
        total = found[:, 1:].sum(axis=0).reshape(count, count)
        return {
            "loss": float(found[:, 0].mean()),
            "sample accuracy": float(np.trace(total) / max(1.0, total.sum())),
            "F1": mean_known(class_dices(total)),
        }

    @property
    def tensor_specs(self) -> tuple[TensorSpec, ...]:
        """The class of each sample, (N, L)."""
        return (TensorSpec("mask", "uint8", (None, None)),)

    def tensors_of(self, predictions: Sequence[Any]) -> dict[str, NDArray[Any]]:
        return {"mask": np.stack([one.labels for one in predictions])}

    def predictions_of(self, tensors: Mapping[str, NDArray[Any]], names: Sequence[str]) -> list[Prediction]:
        return [
            SignalSegmentPrediction(name, self.classes, labels, math.nan)
            for name, labels in zip(names, tensors["mask"], strict=True)
        ]

    def assemble(self, size: tuple[int, ...]) -> Assembler:
        return SegmentAssembler(size, self.classes)

    def compare(self, prediction: Prediction, record: Record) -> SegmentCompared:  # type: ignore[override]
        assert isinstance(prediction, SignalSegmentPrediction)
        truth, count = self.truth(record), len(self.classes)
        return SegmentCompared(
            record.key,
            count_pixels(prediction.labels, truth, count),
            event_counts(prediction.labels, truth, count),
        )

    def evaluate(  # type: ignore[override]
        self, logits: Any, targets: NDArray[Any], keys: Sequence[str], *, data: str, split: str
    ) -> SignalSegmented:
        found: list[SegmentCompared] = logits
        confusions, events = (np.stack([getattr(x, name) for x in found]) for name in ("confusion", "events"))
        return evaluate_segments(confusions, events, self.classes, keys, data=data, split=split)

    def draw(self, record: Record, prediction: Prediction) -> Drawing:
        """The signal over two bands in the colours of the classes: the true ones, and the predicted ones."""
        assert isinstance(prediction, SignalSegmentPrediction)
        return draw_trace(np.asarray(record.payload), [self.truth(record), prediction.labels], len(self.classes))


class SegmentAssembler(Assembler):
    """The most probable class of each sample, from overlapping tiles that are blended."""

    def __init__(self, size: tuple[int, ...], classes: tuple[str, ...]) -> None:
        self.classes, self.stitcher = classes, Stitcher(size, len(classes))

    def add(self, view: View, logits: Tensor) -> None:
        self.stitcher.add(view, logits)

    def finish(self, name: str) -> SignalSegmentPrediction:
        labels, confidence = self.stitcher.finish()
        return SignalSegmentPrediction(name, self.classes, labels, confidence)


def draw_trace(signal: NDArray[Any], traces: Sequence[NDArray[np.integer]], num_classes: int) -> Drawing:
    """A signal (C, L) over bands in the colours of the classes of its samples, (L,) each, as one small image.

    What is not known is grey, as is the curve; the first class is black.
    """
    image = Image.new("RGB", (WIDTH, HEIGHT + BAND * len(traces)), "white")
    pen = ImageDraw.Draw(image)
    for line in draw_curves(np.atleast_2d(signal)):
        points = [tuple(map(float, point.split(","))) for point in line.split()]
        pen.line([(x * WIDTH / 100, y * HEIGHT / 40) for x, y in points], fill=(90, 90, 90))
    colours = np.full((256, 3), 200, np.uint8)
    colours[:num_classes] = class_colours(num_classes)
    for row, labels in enumerate(traces):
        columns = np.linspace(0, len(labels) - 1, WIDTH).round().astype(np.int64)
        band = np.repeat(colours[labels[columns]][None], BAND - 2, axis=0)
        image.paste(Image.fromarray(band), (0, HEIGHT + BAND * row))
    return Drawing(thumbnail(np.asarray(image), side=WIDTH))
