"""Objects of an image, each with its box and class."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Objects, Record, Source
from neocog.errors import ConfigError, some
from neocog.evaluation import Detected, FoundBoxes, TrueBoxes, best_score, evaluate_boxes, mean_precision
from neocog.modalities.draw import Drawing, thumbnail
from neocog.modalities.image.augment import draw_spatial
from neocog.modalities.image.decode import decode_image, image_header
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.tensor_spec import TensorSpec
from neocog.modalities.views import View
from neocog.tasks.box_results import (
    BoxCompared,
    BoxPrediction,
    FoundObject,
    found_boxes,
    ignored_of,
    numbers_of,
    true_boxes,
)
from neocog.tasks.box_targets import counted, move_rows, pad_rows, place_objects
from neocog.tasks.centre_points import centre_losses, split_maps
from neocog.tasks.colours import css_colours
from neocog.tasks.criterion import Criterion
from neocog.tasks.dense import Assembler, DenseTask
from neocog.tasks.draw_boxes import draw_boxes
from neocog.tasks.loss import LossConfig, LossKind
from neocog.tasks.match_classes import match_classes
from neocog.tasks.seams import Gathered, gather_boxes, join_tiles, suppress, view_boxes
from neocog.tasks.target import Target
from neocog.tasks.task import MoveTargets, Prediction, register_task
from neocog.zoo.networks.centernet import peaks

__all__ = ["BoxCompared", "BoxPrediction", "Detection", "FoundObject"]

MOST = 100  # boxes of an image, or of a tile, unless images have more objects
FOUND = 0.5  # intersection over union from which a training object counts as found
OVERLAPS = (1.0, 0.7, 0.6, 0.5, 0.4, 0.3)  # of two boxes of a class that may both stay, to choose from
TRIED = 1000  # validation images by which it is chosen
MAX_PIXELS = 2**28
SIDE = 420  # pixels of the longer side of each of the two images that are drawn


@register_task
class Detection(DenseTask):
    """Centres, sizes and offsets of objects (Zhou et al. 2019); boxes at the peaks of each class's map.

    Logits are the three maps of `Points` side by side, (N, K + 4, h, w). A target is a row of objects, padded:
    (N, M, 6), see `box_targets`. Ignored objects count neither as missed nor as found.
    """

    name = "detection"
    network_task = "detection"
    row_per_object = True
    losses: ClassVar[tuple[LossKind, ...]] = ("centre_points",)
    criterion = Criterion("mAP")
    progress_metric = "boxes found"
    progress_percent = True
    learns_decisions = True
    columns = ("width", "height", "count")
    drawn = "Left the true boxes, those of ignored objects dashed; right the predicted ones"
    outputs_rule = "The network must give three maps at a quarter of the input's size: {num} classes, sizes, offsets."

    def __init__(
        self, classes: tuple[str, ...], threshold: float = 0.5, most: int = MOST, overlap: float = OVERLAPS[0]
    ) -> None:
        """`threshold` is the score from which objects are shown; `most` how many boxes an image or a tile has.

        Of boxes of a class that overlap by more than `overlap`, only the surest stays.
        """
        super().__init__(classes)
        self.threshold, self.most, self.overlap = threshold, most, overlap

    @classmethod
    def for_training(cls, classes: tuple[str, ...], loss: LossConfig, targets: Tensor) -> Self:
        return cls(classes, most=max(MOST, targets.shape[1]))

    @classmethod
    def restore(cls, classes: tuple[str, ...], learned: Mapping[str, Any]) -> Self:
        threshold, most, overlap = learned["threshold"], learned["most"], learned["overlap"]
        shares = all(isinstance(value, float) and 0 <= value <= 1 for value in (threshold, overlap))
        if not shares or type(most) is not int or most < 1:
            raise ValueError(f"what it learned about boxes is not valid, received {dict(learned)!r:.200}")
        return cls(classes, threshold, most, overlap)

    @property
    def learned(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "most": self.most, "overlap": self.overlap}

    @classmethod
    def output_shapes(cls, num_classes: int, input_shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        cells = tuple(8 * -(-side // 32) for side in input_shape[1:])
        return (num_classes, *cells), (2, *cells), (2, *cells)

    @property
    def num_channels(self) -> int:
        return len(self.classes) + 4

    @property
    def outputs_text(self) -> str:
        return f"boxes of {len(self.classes)} classes" if len(self.classes) > 1 else f"boxes of {self.classes[0]}"

    @classmethod
    def encode_records(cls, source: Source, indices: NDArray[np.int64], preprocess: Preprocess) -> Tensor:
        """The objects in pixels of the network's input; (N, M, 6)."""
        rows = []
        for index in indices.tolist():  # in order, so that the tiles of an image are cut while it is decoded
            record = source.read(index)
            assert isinstance(record.target, Objects), "objects"
            rows.append(place_objects(record.target, size_of(record), preprocess))
        return pad_rows(rows)

    @classmethod
    def mover(cls, augment: Any, preprocess: Preprocess) -> MoveTargets | None:
        if augment is None or not augment.moves:
            return None
        size = (preprocess.shape[1], preprocess.shape[2])
        return lambda targets, key: move_rows(
            targets, draw_spatial(key["samples"], size, augment, seed=key["seed"], epoch=key["epoch"])
        )

    def match_targets(self, source: Source, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Nothing of its own: objects are read when they are compared. Raises DataError for unknown classes."""
        self.numbers = match_classes(source, self.classes)
        return source.targets[indices]

    def logits_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over images of their loss; (N, K + 4, h, w), (N, M, 6) -> ()."""
        return centre_losses(logits, targets, len(self.classes)).mean()

    def progress_sum(self, logits: Tensor, targets: Tensor) -> float:
        """The share of each image's objects that its surest boxes find, as many as there are objects; summed."""
        return float(self.shares_found(logits, targets).sum())

    def shares_found(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The share of the objects of each image found among its M surest boxes; 1 without objects; -> (N,).

        M is the number of the image's objects; found means the same class and an overlap of half or more.
        """
        used = counted(targets)
        num = used.sum(dim=1)
        found = peaks(split_maps(logits.detach().float(), len(self.classes)), max(1, targets.shape[1]))
        chosen = torch.arange(found.scores.shape[1], device=num.device)[None] < num[:, None]
        a, b = targets[:, :, None, :4], found.boxes[:, None]
        shared = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
        areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (a, b)]
        overlaps = shared >= FOUND * (areas[0] + areas[1] - shared)
        hits = overlaps & (targets[:, :, None, 4] == found.labels[:, None]) & chosen[:, None]
        share = (hits.any(dim=2) & used).sum(dim=1) / num.clamp(min=1)
        return torch.where(num > 0, share, 1.0)

    def score(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of each image, its progress, and its boxes with score and label; -> (N, 2 + 6 * boxes) float32."""
        most = max(self.most, targets.shape[1])
        found = peaks(split_maps(logits.float(), len(self.classes)), most)
        boxes = torch.cat([found.boxes, found.scores[..., None], found.labels[..., None].float()], dim=2)
        figures = [centre_losses(logits, targets, len(self.classes)), self.shares_found(logits, targets)]
        return torch.cat([torch.stack(figures, dim=1), boxes.flatten(1)], dim=1)

    def validation(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        found, truth = found_boxes(logits), true_boxes(targets)
        precision, half = mean_precision(found, truth, len(self.classes))
        loss, share = logits[:, :2].double().mean(dim=0).tolist()
        return {"loss": loss, "boxes found": share, "mAP": precision, "mAP50": half}

    def learn_decisions(self, logits: Tensor, targets: Tensor) -> None:
        """Choose the overlap with the highest mAP, the largest of equal ones, and then the threshold."""
        best = -1.0
        for overlap in OVERLAPS:
            precision, _ = mean_precision(
                found_boxes(logits[:TRIED], overlap), true_boxes(targets[:TRIED]), len(self.classes)
            )
            if precision > best:
                best, self.overlap = precision, overlap
        self.threshold = best_score(found_boxes(logits, self.overlap), true_boxes(targets), len(targets))

    def find_target(self, outputs: Tensor, spec: str | int | None = None) -> Target:
        """An object: `0` is the surest, `1` the next one, and so on; `class` or `class:1` counts those of a class.

        The target is the score of its class at its centre.
        """
        points = split_maps(outputs.float(), len(self.classes))
        found = peaks(points, self.most)
        name, _, rank = str(spec if spec is not None else 0).rpartition(":")
        if not name and rank in self.classes:
            name, rank = rank, "0"
        labels = found.labels[0].tolist()
        chosen = [i for i, label in enumerate(labels) if not name or self.classes[label] == name]
        if (name and name not in self.classes) or not rank.isdigit() or int(rank) >= len(chosen):
            raise ConfigError(
                f"A target is an object from 0, the surest, to {len(labels) - 1}, or a class, or class:1, class:2, ...",
                received=repr(spec),
                fix=f"The classes are {some(self.classes, 10)}.",
            )
        place = chosen[int(rank)]
        label, box = labels[place], tuple(found.boxes[0, place].tolist())
        heat = points.heat[0, label]
        cell = int((heat.sigmoid() - found.scores[0, place]).abs().argmin())  # peaks are read off the maps, exactly
        nth = chosen.index(place) if name else sum(labels[i] == label for i in range(place))
        return Target(f"{self.classes[label]}, object {nth}", label, place=divmod(cell, heat.shape[1]), box=box)

    def decode(self, logits: Tensor) -> Tensor:
        """The same maps in float64, the classes' as scores."""
        count = len(self.classes)
        return torch.cat([logits[:, :count].double().sigmoid(), logits[:, count:].double()], dim=1)

    @property
    def tensor_specs(self) -> tuple[TensorSpec, ...]:
        """Boxes, the surest first, in pixels of the image, and how many there are; behind these, zeros and label -1."""
        return (
            TensorSpec("boxes", "float32", (None, None, 4)),
            TensorSpec("scores", "float32", (None, None)),
            TensorSpec("labels", "int64", (None, None)),
            TensorSpec("count", "int64", (None,)),
        )

    def tensors_of(self, predictions: Sequence[Any]) -> dict[str, NDArray[Any]]:
        counts = np.array([len(one.scores) for one in predictions], np.int64)
        num, most = len(predictions), int(counts.max(initial=0))
        boxes, scores = np.zeros((num, most, 4), np.float32), np.zeros((num, most), np.float32)
        labels = np.full((num, most), -1, np.int64)
        for i, one in enumerate(predictions):
            boxes[i, : counts[i]], scores[i, : counts[i]], labels[i, : counts[i]] = one.boxes, one.scores, one.labels
        return {"boxes": boxes, "scores": scores, "labels": labels, "count": counts}

    def predictions_of(self, tensors: Mapping[str, NDArray[Any]], names: Sequence[str]) -> list[Prediction]:
        """As `DenseTask.predictions_of`; the size of the image, which no array says, is that of its boxes."""
        found: list[Prediction] = []
        for i, (name, count) in enumerate(zip(names, tensors["count"].tolist(), strict=True)):
            boxes, scores = (tensors[each][i, :count].astype(np.float64) for each in ("boxes", "scores"))
            across, down = np.ceil(boxes[:, 2:].max(axis=0, initial=0)).astype(int).tolist()
            labels = tensors["labels"][i, :count]
            found.append(BoxPrediction(name, self.classes, (down, across), boxes, scores, labels, self.threshold))
        return found

    def assemble(self, size: tuple[int, ...]) -> Assembler:
        return BoxAssembler(size, self)

    def compare(self, prediction: Prediction, record: Record) -> BoxCompared:
        assert isinstance(prediction, BoxPrediction)
        truth = self.truth(record)
        return BoxCompared(record.key, prediction.boxes, prediction.scores, prediction.labels, truth)

    def truth(self, record: Record) -> Objects:
        """The record's objects, their classes in the order of the network's outputs."""
        target = record.target
        assert isinstance(target, Objects), "objects"
        numbers: NDArray[np.int64] | None = getattr(self, "numbers", None)
        labels = target.labels if numbers is None else numbers[target.labels]
        return Objects(target.boxes, labels, None, target.ignored)

    def evaluate(self, logits: Any, targets: NDArray[Any], keys: Sequence[str], *, data: str, split: str) -> Detected:
        compared: list[BoxCompared] = logits
        found = FoundBoxes(
            numbers_of([len(x.scores) for x in compared]),
            np.concatenate([np.empty((0, 4)), *(x.boxes for x in compared)]),
            np.concatenate([np.empty(0, np.int64), *(x.labels for x in compared)]),
            np.concatenate([np.empty(0), *(x.scores for x in compared)]),
        )
        truth = TrueBoxes(
            numbers_of([len(x.truth) for x in compared]),
            np.concatenate([np.empty((0, 4)), *(x.truth.boxes.astype(np.float64) for x in compared)]),
            np.concatenate([np.empty(0, np.int64), *(x.truth.labels for x in compared)]),
            np.concatenate([np.empty(0, np.uint8), *(ignored_of(x.truth) for x in compared)]),
        )
        return evaluate_boxes(found, truth, self.classes, self.threshold, keys, data=data, split=split)

    @property
    def legend(self) -> list[tuple[str, str]]:
        return list(zip(self.classes, css_colours(len(self.classes) + 1)[1:], strict=True))

    def draw(self, record: Record, prediction: Prediction) -> Drawing:
        """The image with the true boxes, ignored ones dashed, and beside it with the predicted ones."""
        assert isinstance(prediction, BoxPrediction)
        payload = record.payload
        if isinstance(payload, bytes):
            payload = decode_image(payload, record.key, max_pixels=MAX_PIXELS, convert=True)
        pixels, truth, count = np.asarray(payload), self.truth(record), len(self.classes)
        shown = prediction.scores >= prediction.threshold
        pair = [
            draw_boxes(pixels, truth.boxes, truth.labels, count, ignored=ignored_of(truth), side=SIDE),
            draw_boxes(pixels, prediction.boxes[shown], prediction.labels[shown], count, side=SIDE),
        ]
        return Drawing(thumbnail(np.concatenate(pair, axis=1), side=2 * SIDE))


class BoxAssembler(Assembler):
    """The boxes of an image, from one view or from overlapping tiles, each object once."""

    def __init__(self, size: tuple[int, ...], task: Detection) -> None:
        self.size, self.task = size, task
        self.found: list[tuple[tuple[float, ...], Gathered]] = []
        self.tile = (0, 0)

    def add(self, view: View, logits: Tensor) -> None:
        found = view_boxes(view, logits, len(self.task.classes), self.task.most)
        self.found.append((view.origin, found))
        self.tile = (view.inputs.shape[1], view.inputs.shape[2])

    def finish(self, name: str) -> BoxPrediction:
        one = len(self.found) == 1
        joined = self.found[0][1] if one else join_tiles(self.found, self.size, self.tile)
        found = gather_boxes(suppress(joined, self.task.overlap), self.size)
        size = (self.size[0], self.size[1])
        return BoxPrediction(
            name, self.task.classes, size, found.boxes, found.scores, found.labels, self.task.threshold
        )


def size_of(record: Record) -> tuple[int, int]:
    """Height and width of a record's upright image."""
    if isinstance(record.payload, bytes):
        header = image_header(record.payload, record.key, MAX_PIXELS)
        return header.height, header.width
    height, width = np.shape(record.payload)[:2]
    return height, width
