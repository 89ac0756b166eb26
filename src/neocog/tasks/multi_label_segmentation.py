"""Several classes for each pixel of an image: a binary mask for each class, independent of the others."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import UNLABELLED, Record, Source
from neocog.evaluation.multi_label_segmentation import MultiSegmented, evaluate_binary_masks
from neocog.evaluation.segmentation import boundary_counts, class_dices, class_ious, count_pixels, mean_known
from neocog.modalities.tensor_spec import TensorSpec
from neocog.modalities.views import View
from neocog.tasks.colours import class_colours, css_colours, overlay
from neocog.tasks.dense import Assembler, MaskPrediction, mean_target
from neocog.tasks.loss import LossConfig, LossKind
from neocog.tasks.match_classes import match_classes
from neocog.tasks.segmentation import SMOOTH, MaskCompared, Segmentation
from neocog.tasks.stitch import BinaryStitcher
from neocog.tasks.target import Target
from neocog.tasks.task import Prediction, register_task

__all__ = ["BinaryMaskPrediction", "MultiLabelSegmentation"]


@dataclass(frozen=True, slots=True)
class BinaryMaskPrediction(MaskPrediction):
    """A binary mask for each class of one input; masks may overlap.

    The confidence is the mean over pixels and classes of the probability that a class is there, or is not.
    """

    masks: NDArray[np.bool_]
    """(K, H, W), at the size of the input."""

    @classmethod
    def of_masks(cls, name: str, classes: tuple[str, ...], masks: NDArray[np.bool_], confidence: float) -> Self:
        means = masks.reshape(len(masks), -1).mean(axis=1)
        shares = {classes[k]: float(means[k]) for k in np.argsort(-means, kind="stable").tolist() if means[k]}
        return cls(name, classes, confidence, shares, (masks.shape[1], masks.shape[2]), masks)

    def without_places(self) -> Self:
        return replace(self, masks=self.masks[:0])


@register_task
class MultiLabelSegmentation(Segmentation):
    """Binary cross-entropy of pixels and soft Dice of each class; a class is where its probability is above a half.

    A target is a mask for each class, (K, H, W) uint8: 1 for its pixels, 0 for others, and 255 for those of which
    nothing is known, which don't count for this class.
    """

    name = "multi-label segmentation"
    losses: ClassVar[tuple[LossKind, ...]] = ("binary_cross_entropy_dice", "binary_cross_entropy", "dice")
    outputs_rule = "The network must give one number for each of {num} classes at every pixel."
    drawn = "Left the true masks, right the predicted ones, over the image; where classes overlap, colours mix"

    def __init__(self, classes: tuple[str, ...], loss: LossConfig | None = None) -> None:
        super().__init__(classes, loss)
        self.smoothing = (loss or LossConfig()).label_smoothing

    @classmethod
    def for_training(cls, classes: tuple[str, ...], loss: LossConfig, targets: Tensor) -> Self:
        return cls(classes, loss)

    @property
    def outputs_text(self) -> str:
        return f"{len(self.classes)} classes of pixels that may overlap"

    def match_targets(self, source: Source, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Nothing of its own: masks are read when they are compared. Raises DataError for unknown classes."""
        self.rows = match_classes(source, self.classes)
        return source.targets[indices]

    def truth(self, record: Record) -> NDArray[np.uint8]:
        """The record's masks in the order of the network's outputs; a class that the source lacks isn't known."""
        assert isinstance(record.target, np.ndarray), "masks"
        rows: NDArray[np.int64] | None = getattr(self, "rows", None)
        if rows is None:
            return record.target
        found = np.full((len(self.classes), *record.target.shape[1:]), UNLABELLED, np.uint8)
        found[rows] = record.target
        return found

    def image_losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(N, K, H, W), (N, K, H, W) uint8 -> (N,); 0 for an image without a known pixel."""
        known, there = targets != UNLABELLED, (targets == 1).to(logits.dtype)
        losses = torch.zeros(len(logits), dtype=logits.dtype, device=logits.device)
        if self.kind != "dice":
            smoothed = there * (1 - self.smoothing) + self.smoothing / 2
            each = F.binary_cross_entropy_with_logits(logits, smoothed, reduction="none") * known
            losses = losses + each.flatten(1).sum(dim=1) / known.flatten(1).sum(dim=1).clamp(min=1)
        if self.kind != "binary_cross_entropy":
            losses = losses + binary_dice(logits.sigmoid(), there, known)
        return losses

    def progress_sum(self, logits: Tensor, targets: Tensor) -> float:
        """The share of the known pixels of each image's masks that are right, summed over images."""
        known = targets != UNLABELLED
        right = ((logits > 0) == (targets == 1)) & known
        return float((right.flatten(1).sum(dim=1) / known.flatten(1).sum(dim=1).clamp(min=1)).sum())

    def score(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of each image, and for each class its pixels by truth and prediction; -> (N, 1 + K * 4) float64."""
        masks, truth = (logits > 0).byte().numpy(), targets.numpy()
        pixels = [binary_counts(mask, true).ravel() for mask, true in zip(masks, truth, strict=True)]
        losses = self.image_losses(logits, targets).double()
        return torch.cat([losses[:, None], torch.from_numpy(np.stack(pixels)).double()], dim=1)

    def validation(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        found = logits.numpy()
        total = found[:, 1:].sum(axis=0).reshape(-1, 2, 2)
        return {
            "loss": float(found[:, 0].mean()),
            "pixel accuracy": float(np.trace(total, axis1=1, axis2=2).sum() / max(1.0, total.sum())),
            "mIoU": mean_known(class_ious(total)[:, 1]),
            "mean Dice": mean_known(class_dices(total)[:, 1]),
        }

    def find_target(self, outputs: Tensor, spec: str | int | None = None) -> Target:
        """As for masks of one class each; by default the class with most places."""
        return mean_target(outputs[0] > 0, self.classes, spec)

    def decode(self, logits: Tensor) -> Tensor:
        """(N, K, H, W) logits -> the same, as probabilities of each class alone, in float64."""
        return logits.double().sigmoid()

    @property
    def tensor_specs(self) -> tuple[TensorSpec, ...]:
        """1 where a class is, (N, K, H, W)."""
        return (TensorSpec("masks", "uint8", (None, len(self.classes), None, None)),)

    def tensors_of(self, predictions: Sequence[Any]) -> dict[str, NDArray[Any]]:
        return {"masks": np.stack([one.masks for one in predictions]).astype(np.uint8)}

    def predictions_of(self, tensors: Mapping[str, NDArray[Any]], names: Sequence[str]) -> list[Prediction]:
        return [
            BinaryMaskPrediction.of_masks(name, self.classes, masks != 0, math.nan)
            for name, masks in zip(names, tensors["masks"], strict=True)
        ]

    def assemble(self, size: tuple[int, ...]) -> Assembler:
        return BinaryMaskAssembler(size, self.classes)

    def compare(self, prediction: Prediction, record: Record) -> MaskCompared:
        assert isinstance(prediction, BinaryMaskPrediction)
        truth, masks = self.truth(record), prediction.masks.astype(np.uint8)
        outlines = [boundary_counts(mask, true, 2)[1] for mask, true in zip(masks, truth, strict=True)]
        return MaskCompared(record.key, binary_counts(masks, truth), np.stack(outlines))

    def evaluate(  # type: ignore[override]
        self, logits: Any, targets: NDArray[Any], keys: Sequence[str], *, data: str, split: str
    ) -> MultiSegmented:
        found: list[MaskCompared] = logits
        confusions, boundaries = (np.stack([getattr(x, name) for x in found]) for name in ("confusion", "boundary"))
        return evaluate_binary_masks(confusions, boundaries, self.classes, keys, data=data, split=split)

    @property
    def legend(self) -> list[tuple[str, str]]:
        return list(zip(self.classes, css_colours(len(self.classes) + 1)[1:], strict=True))

    def coloured(self, pixels: NDArray[Any], record: Record, prediction: Prediction) -> list[NDArray[np.uint8]]:
        assert isinstance(prediction, BinaryMaskPrediction)
        colours, found = class_colours(len(self.classes) + 1), []
        for masks in (self.truth(record) == 1, prediction.masks):
            image = pixels
            for k, inside in enumerate(masks):
                image = overlay(image, inside * np.uint8(k + 1), colours)
            found.append(image)
        return found


class BinaryMaskAssembler(Assembler):
    """The pixels of each class, from overlapping views that are blended."""

    def __init__(self, size: tuple[int, ...], classes: tuple[str, ...]) -> None:
        self.classes, self.stitcher = classes, BinaryStitcher(size, len(classes))

    def add(self, view: View, logits: Tensor) -> None:
        self.stitcher.add(view, logits)

    def finish(self, name: str) -> BinaryMaskPrediction:
        masks, confidence = self.stitcher.finish()
        return BinaryMaskPrediction.of_masks(name, self.classes, masks.astype(bool), confidence)


def binary_counts(masks: NDArray[np.integer], truth: NDArray[np.integer]) -> NDArray[np.int64]:
    """For each class its pixels by truth (rows) and prediction, 0 and 1; (K, H, W) twice -> (K, 2, 2).

    >>> binary_counts(np.array([[[0, 1, 1]]]), np.array([[[0, 0, 255]]])).tolist()
    [[[1, 1], [0, 0]]]
    """
    return np.stack([count_pixels(mask, true, 2) for mask, true in zip(masks, truth, strict=True)])


def binary_dice(probs: Tensor, there: Tensor, known: Tensor) -> Tensor:
    """One minus the mean soft Dice over the classes of which an image knows a pixel; (N, K, H, W) each -> (N,).

        1 - (2 sum p t + 1) / (sum p + sum t + 1)

    Source: Milletari et al. 2016, "V-Net", section 3, for each class of an image. Unlike `soft_dice`, a class that an
    image lacks counts, too: nothing else says that it is not there.
    """
    probs, there, known = (each.flatten(2) for each in (probs * known, there * known, known))
    dice = (2 * (probs * there).sum(dim=2) + SMOOTH) / (probs.sum(dim=2) + there.sum(dim=2) + SMOOTH)
    counts = known.any(dim=2)
    return ((1 - dice) * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1)
