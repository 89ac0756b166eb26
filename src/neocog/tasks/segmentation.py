"""A class for each pixel of an image."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.cpus import num_cpus
from neocog.dataset.record import UNLABELLED, Record, Source
from neocog.evaluation import Segmented, evaluate_masks
from neocog.evaluation.segmentation import boundary_counts, class_dices, class_ious, count_pixels, mean_known
from neocog.modalities.draw import Drawing, thumbnail
from neocog.modalities.image.augment import draw_spatial
from neocog.modalities.image.decode import decode_image
from neocog.modalities.image.views import place_of
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.tensor_spec import TensorSpec
from neocog.modalities.views import View
from neocog.tasks.colours import class_colours, css_colours, overlay
from neocog.tasks.criterion import Criterion
from neocog.tasks.dense import Assembler, Compared, DenseTask, MaskPrediction
from neocog.tasks.loss import LossConfig, LossKind
from neocog.tasks.match_classes import match_classes
from neocog.tasks.stitch import Stitcher
from neocog.tasks.task import MoveTargets, Prediction, register_task

__all__ = ["MaskCompared", "SegmentPrediction", "Segmentation", "place_mask"]

SMOOTH = 1.0  # pixels added to both sides of a Dice ratio, so that classes of a few pixels don't jump
MAX_PIXELS = 2**28
SIDE = 480  # pixels of the longer side of a drawing


@dataclass(frozen=True, slots=True)
class SegmentPrediction(MaskPrediction):
    """The class of each pixel of one input."""

    mask: NDArray[np.uint8]
    """(H, W), at the size of the input."""

    @classmethod
    def of_mask(cls, name: str, classes: tuple[str, ...], mask: NDArray[np.uint8], confidence: float) -> Self:
        counts = np.bincount(mask.ravel(), minlength=len(classes)) / mask.size
        order = np.argsort(-counts, kind="stable")
        shares = {classes[k]: float(counts[k]) for k in order.tolist() if counts[k]}
        return cls(name, classes, confidence, shares, (mask.shape[0], mask.shape[1]), mask)

    def without_places(self) -> Self:
        return replace(self, mask=self.mask[:0])


@dataclass(frozen=True, slots=True)
class MaskCompared(Compared):
    """The pixels of one image, counted."""

    confusion: NDArray[np.int64]
    boundary: NDArray[np.int64]


@register_task
class Segmentation(DenseTask):
    """Cross-entropy of pixels and soft Dice of classes; the most probable class of each pixel.

    A target is a mask (H, W) uint8, 255 where nothing is known: such pixels don't count anywhere.
    """

    name = "segmentation"
    network_task = "segmentation"
    losses: ClassVar[tuple[LossKind, ...]] = ("cross_entropy_dice", "cross_entropy", "dice")
    criterion = Criterion("mIoU")
    progress_metric = "pixel accuracy"
    progress_percent = True
    columns: ClassVar[tuple[str, ...]] = ("width", "height", "confidence")
    outputs_rule = "The network must give one number for each of {num} classes at every pixel."
    numbers: NDArray[np.uint8] | None = None
    """The network's class of each class of the data set that is compared, (256,); None if they are the same."""
    drawn = "Left the true mask, right the predicted one, each over the image"

    def __init__(self, classes: tuple[str, ...], loss: LossConfig | None = None, weights: Tensor | None = None) -> None:
        super().__init__(classes)
        self.kind = (loss or LossConfig()).kind or self.losses[0]
        self.pixel_weights = weights

    @classmethod
    def for_training(cls, classes: tuple[str, ...], loss: LossConfig, targets: Tensor) -> Self:
        weights = balanced_pixels(targets, len(classes)) if loss.class_weights == "balanced" else None
        return cls(classes, loss, weights)

    @classmethod
    def output_shapes(cls, num_classes: int, input_shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        return ((num_classes, *input_shape[1:]),)

    @property
    def outputs_text(self) -> str:
        return f"{len(self.classes)} classes of pixels"

    @classmethod
    def encode_records(cls, source: Source, indices: NDArray[np.int64], preprocess: Preprocess) -> Tensor:
        """The masks at the network's size; (N, H, W) uint8, or (N, K, H, W) if each class has one."""

        def encode(index: int) -> Tensor:
            mask = source.read(index).target
            assert isinstance(mask, np.ndarray), "a mask"
            return torch.from_numpy(place_mask(mask, preprocess))

        with ThreadPoolExecutor(num_cpus()) as pool:
            return torch.stack(list(pool.map(encode, indices.tolist())))

    @classmethod
    def mover(cls, augment: Any, preprocess: Preprocess) -> MoveTargets | None:
        if augment is None or not augment.moves:
            return None
        size = (preprocess.shape[1], preprocess.shape[2])
        return lambda targets, key: draw_spatial(
            key["samples"], size, augment, seed=key["seed"], epoch=key["epoch"]
        ).masks(targets)

    def match_targets(self, source: Source, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Nothing of its own: masks are read when they are compared. Raises DataError for unknown classes."""
        self.numbers = np.full(256, UNLABELLED, np.uint8)
        self.numbers[: len(source.classes)] = match_classes(source, self.classes)
        return source.targets[indices]

    def logits_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over images of their loss; (N, K, H, W), (N, H, W) uint8 -> ()."""
        return self.image_losses(logits, targets).mean()

    def image_losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(N, K, H, W), (N, H, W) -> (N,); 0 for an image without a known pixel."""
        known, labels = targets != UNLABELLED, targets.long()
        log_probs = logits.log_softmax(dim=1)
        losses = torch.zeros(len(logits), dtype=logits.dtype, device=logits.device)
        if self.kind != "dice":
            weights = None if self.pixel_weights is None else self.pixel_weights.to(logits)
            losses = losses + pixel_cross_entropy(log_probs, labels, known, weights)
        if self.kind != "cross_entropy":
            losses = losses + soft_dice(log_probs.exp(), labels, known)
        return losses

    def progress_sum(self, logits: Tensor, targets: Tensor) -> float:
        """The share of the known pixels of each image whose class is right, summed over images."""
        known = targets != UNLABELLED
        right = (logits.argmax(dim=1) == targets) & known
        return float((right.flatten(1).sum(dim=1) / known.flatten(1).sum(dim=1).clamp(min=1)).sum())

    def score(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of each image, and its pixels by true and predicted class; -> (N, 1 + K * K) float64."""
        count = len(self.classes)
        masks, truth = logits.argmax(dim=1).numpy(), targets.numpy()
        pixels = [count_pixels(mask, true, count).ravel() for mask, true in zip(masks, truth, strict=True)]
        losses = self.image_losses(logits, targets).double()
        return torch.cat([losses[:, None], torch.from_numpy(np.stack(pixels)).double()], dim=1)

    def validation(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        count, found = len(self.classes), logits.numpy()
        total = found[:, 1:].sum(axis=0).reshape(count, count)
        return {
            "loss": float(found[:, 0].mean()),
            "pixel accuracy": float(np.trace(total) / max(1.0, total.sum())),
            "mIoU": mean_known(class_ious(total)),
            "mean Dice": mean_known(class_dices(total)),
        }

    @property
    def tensor_specs(self) -> tuple[TensorSpec, ...]:
        """The class of each pixel, (N, H, W)."""
        return (TensorSpec("mask", "uint8", (None, None, None)),)

    def tensors_of(self, predictions: Sequence[Any]) -> dict[str, NDArray[Any]]:
        return {"mask": np.stack([one.mask for one in predictions])}

    def predictions_of(self, tensors: Mapping[str, NDArray[Any]], names: Sequence[str]) -> list[Prediction]:
        return [
            SegmentPrediction.of_mask(name, self.classes, mask, math.nan)
            for name, mask in zip(names, tensors["mask"], strict=True)
        ]

    def assemble(self, size: tuple[int, ...]) -> Assembler:
        return MaskAssembler(size, self.classes)

    def compare(self, prediction: Prediction, record: Record) -> MaskCompared:
        assert isinstance(prediction, SegmentPrediction)
        truth, count = self.truth(record), len(self.classes)
        return MaskCompared(
            record.key,
            count_pixels(prediction.mask, truth, count),
            boundary_counts(prediction.mask, truth, count),
        )

    def truth(self, record: Record) -> NDArray[np.uint8]:
        """The record's mask, its classes in the order of the network's outputs."""
        assert isinstance(record.target, np.ndarray), "a mask"
        return record.target if self.numbers is None else self.numbers[record.target]

    def evaluate(self, logits: Any, targets: NDArray[Any], keys: Sequence[str], *, data: str, split: str) -> Segmented:
        found: list[MaskCompared] = logits
        confusions, boundaries = (np.stack([getattr(x, name) for x in found]) for name in ("confusion", "boundary"))
        return evaluate_masks(confusions, boundaries, self.classes, keys, data=data, split=split)

    @property
    def legend(self) -> list[tuple[str, str]]:
        return [(name, css) for name, css in zip(self.classes, css_colours(len(self.classes)), strict=True)][1:]

    def draw(self, record: Record, prediction: Prediction) -> Drawing:
        """The image with the true mask, and beside it with the predicted one."""
        payload = record.payload
        if isinstance(payload, bytes):
            payload = decode_image(payload, record.key, max_pixels=MAX_PIXELS, convert=True)
        pixels = np.asarray(payload)
        gap = np.full((pixels.shape[0], max(2, pixels.shape[1] // 30), 3), 255, np.uint8)
        true, found = self.coloured(pixels, record, prediction)
        return Drawing(thumbnail(np.concatenate([true, gap, found], axis=1), side=SIDE))

    def coloured(self, pixels: NDArray[Any], record: Record, prediction: Prediction) -> list[NDArray[np.uint8]]:
        """An image with its true mask over it, and with the predicted one; (H, W, C) -> (H, W, 3) twice."""
        assert isinstance(prediction, SegmentPrediction)
        colours = class_colours(len(self.classes))
        return [overlay(pixels, mask, colours) for mask in (self.truth(record), prediction.mask)]


class MaskAssembler(Assembler):
    """The most probable class of each pixel, from overlapping views that are blended."""

    def __init__(self, size: tuple[int, ...], classes: tuple[str, ...]) -> None:
        self.classes, self.stitcher = classes, Stitcher(size, len(classes))

    def add(self, view: View, logits: Tensor) -> None:
        self.stitcher.add(view, logits)

    def finish(self, name: str) -> SegmentPrediction:
        mask, confidence = self.stitcher.finish()
        return SegmentPrediction.of_mask(name, self.classes, mask, confidence)


def pixel_cross_entropy(log_probs: Tensor, labels: Tensor, known: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of -w log p over the known pixels of each image, by the sum of their w; (N, K, H, W) -> (N,)."""
    losses = F.nll_loss(log_probs, labels, weights, ignore_index=UNLABELLED, reduction="none").flatten(1).sum(dim=1)
    shares = known.to(log_probs) if weights is None else weights[labels.where(known, 0)] * known
    sums = shares.flatten(1).sum(dim=1)
    return losses / sums.where(sums > 0, 1)


def soft_dice(probs: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """One minus the mean soft Dice over the classes that an image has; (N, K, H, W), (N, H, W) twice -> (N,).

        1 - (2 sum p t + 1) / (sum p + sum t + 1)

    Source: Milletari et al. 2016, "V-Net", section 3, with sums for each class of an image.
    """
    probs = (probs * known[:, None]).flatten(2)
    numbers = torch.arange(probs.shape[1], device=labels.device)
    truth = labels.flatten(1)[:, None] == numbers[:, None]
    real = truth.sum(dim=2)
    dice = (2 * (probs * truth).sum(dim=2) + SMOOTH) / (probs.sum(dim=2) + real + SMOOTH)
    there = real > 0
    return ((1 - dice) * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def balanced_pixels(targets: Tensor, num_classes: int) -> Tensor:
    """The weight of each class's pixels, median frequency balancing; (N, H, W) uint8 -> (K,).

    A class's frequency is its share of the known pixels of the images that have it, its weight the median of all
    frequencies over its own. A class that no image has weighs 1. Source: Eigen & Fergus 2015, section 6.3.2.

    >>> masks = torch.tensor([[[0, 0, 0, 1]], [[0, 0, 255, 255]]], dtype=torch.uint8)
    >>> balanced_pixels(masks, 3)  # 5/6 and 1/4, whose median is 13/24
    tensor([0.6500, 2.1667, 1.0000])
    """
    counts = torch.stack([torch.bincount(mask.flatten().int(), minlength=256)[:num_classes] for mask in targets])
    pixels, there = counts.sum(dim=1, keepdim=True), counts > 0
    shares = counts.sum(dim=0).double() / (pixels * there).sum(dim=0).clamp(min=1)
    found = shares > 0
    if not found.any():
        return torch.ones(num_classes)
    return torch.where(found, shares[found].quantile(0.5) / shares.clamp(min=1e-12), 1.0).float()


def place_mask(mask: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.uint8]:
    """A mask (H, W), or one for each class, as its image reaches the network: the nearest pixel, 255 in the border."""
    spec: Any = preprocess
    size = mask.shape[-2], mask.shape[-1]
    origin, scale = place_of(size, spec.resize, spec.size, spec.pad)
    rows, columns = (
        np.floor(origin[axis] + (np.arange(preprocess.shape[1 + axis]) + 0.5) / scale[axis]).astype(np.int64)
        for axis in (0, 1)
    )
    inside = [(places >= 0) & (places < length) for places, length in zip((rows, columns), size, strict=True)]
    found = mask[..., rows.clip(0, size[0] - 1), :][..., columns.clip(0, size[1] - 1)]
    return np.where(inside[0][:, None] & inside[1], found, UNLABELLED).astype(np.uint8)
