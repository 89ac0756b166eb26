"""Several labels for each sample: any number of the classes, none included."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Source
from neocog.evaluation import (
    MultiLabelled,
    Statistic,
    average_precisions,
    best_thresholds,
    evaluate_labels,
    mean_average_precision,
)
from neocog.tasks.criterion import Criterion
from neocog.tasks.learned import read_numbers
from neocog.tasks.loss import LossConfig, LossKind, asymmetric
from neocog.tasks.match_classes import match_classes
from neocog.tasks.task import Prediction, Task, register_task

__all__ = ["LabelPrediction", "MultiLabel"]


@dataclass(frozen=True, slots=True)
class LabelPrediction(Prediction):
    """The labels of one input, and the most probable of all classes."""

    labels: tuple[str, ...]
    """Those at or above their thresholds, the most probable first."""
    top: tuple[tuple[str, float], ...]
    """The labels and the most probable other classes with their probabilities, in descending order."""

    def to_json(self) -> dict[str, Any]:
        top = [{"class": name, "probability": share} for name, share in self.top]
        return {"labels": list(self.labels), "top": top}

    def cells(self) -> dict[str, str]:
        shares = dict(self.top)
        named = ", ".join(f"{name} {shares[name]:.1%}" for name in self.labels)
        others = ", ".join(f"{name} {share:.1%}" for name, share in self.top if name not in self.labels)
        return {"labels": named or "none", "less probable": others}


@register_task
class MultiLabel(Task):
    """Binary cross-entropy or an asymmetric loss of each label; thresholds by validation data.

    A target is a row of 1 and 0, (K,), or NaN for a label that isn't known: it is left out of the loss and the metrics.
    """

    name = "multi-label"
    linear_head = "labels"
    has_probabilities = True
    learns_decisions = True
    losses: ClassVar[tuple[LossKind, ...]] = ("binary_cross_entropy", "asymmetric")
    criterion = Criterion("mAP")
    progress_metric = "label accuracy"
    progress_percent = True
    columns = ("labels",)

    def __init__(
        self, classes: tuple[str, ...], loss: LossConfig | None = None, thresholds: Sequence[float] | None = None
    ) -> None:
        super().__init__(classes)
        config = loss or LossConfig()
        self.kind, self.smoothing = config.kind, config.label_smoothing
        self.thresholds = np.full(len(classes), 0.5) if thresholds is None else np.array(thresholds, np.float64)

    @classmethod
    def for_training(cls, classes: tuple[str, ...], loss: LossConfig, targets: Tensor) -> Self:
        return cls(classes, loss)

    @classmethod
    def restore(cls, classes: tuple[str, ...], learned: Mapping[str, Any]) -> Self:
        known = "thresholds" in learned
        return cls(classes, thresholds=read_numbers(learned, "thresholds", len(classes)) if known else None)

    @property
    def learned(self) -> dict[str, Any]:
        return {"thresholds": self.thresholds.tolist()}

    @property
    def outputs_text(self) -> str:
        return f"{len(self.classes)} labels"

    def match_targets(self, source: Source, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Targets (N, K); a label that the source does not have is not known."""
        found = np.full((len(indices), len(self.classes)), np.nan)
        found[:, match_classes(source, self.classes)] = source.targets[indices]
        return found

    @classmethod
    def encode(cls, targets: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(targets, np.float32))

    def logits_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        known = ~targets.isnan()
        there = torch.where(known, targets, torch.zeros_like(targets))
        if self.kind == "asymmetric":
            losses = asymmetric(logits, there)
        else:
            smoothed = there * (1 - self.smoothing) + self.smoothing / 2
            losses = F.binary_cross_entropy_with_logits(logits, smoothed, reduction="none")
        # The mean over samples, as several processes take it, of the mean over the labels that are known.
        return ((losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)).mean()

    def progress_sum(self, logits: Tensor, targets: Tensor) -> float:
        """The share of known labels that are right at a threshold of one half, summed over samples."""
        known = ~targets.isnan()
        right = ((logits > 0) == (targets > 0.5)) & known
        return float((right.sum(dim=1) / known.sum(dim=1).clamp(min=1)).sum())

    def validation(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        loss = MultiLabel(self.classes).logits_loss(logits.double(), targets.double())
        found = average_precisions(logits.double().numpy(), targets.double().numpy())
        there = found[~np.isnan(found)]
        return {
            "loss": loss.item(),
            "label accuracy": self.progress_sum(logits, targets) / len(targets),
            "mAP": float(there.mean()) if len(there) else 0.0,
        }

    def learn_decisions(self, logits: Tensor, targets: Tensor) -> None:
        """The threshold of each label with the highest F1 on validation data."""
        self.thresholds = best_thresholds(self.decode(logits).numpy(), targets.double().numpy())

    def decode(self, logits: Tensor) -> Tensor:
        """(N, K) logits -> (N, K) probabilities, each label on its own."""
        return logits.double().sigmoid()

    def average(self, views: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        """The logits of the mean probability of all views; V times (N, K) -> (N, K)."""
        mean = sum(weight * self.decode(logits) for weight, logits in zip(weights, views, strict=True))
        return torch.as_tensor(mean).logit(eps=1e-12).float()

    def predictions(self, names: Sequence[str], logits: Tensor, top: int) -> list[Prediction]:
        found: list[Prediction] = []
        for name, row in zip(names, self.decode(logits).tolist(), strict=True):
            ranked = sorted(zip(self.classes, row, self.thresholds.tolist(), strict=True), key=lambda one: -one[1])
            labels = tuple(label for label, share, threshold in ranked if share >= threshold)
            shown = [(label, share) for i, (label, share, _) in enumerate(ranked) if i < top or label in labels]
            found.append(LabelPrediction(name, labels, tuple(shown)))
        return found

    def evaluate(
        self, logits: Any, targets: NDArray[Any], keys: Sequence[str], *, data: str, split: str
    ) -> MultiLabelled:
        values = np.asarray(targets, np.float64)
        return evaluate_labels(logits, values, self.thresholds, self.classes, keys, data=data, split=split)

    def statistic(self, scored: Any, targets: NDArray[Any], keys: Sequence[str]) -> Statistic:
        return mean_average_precision(np.asarray(scored, np.float64), np.asarray(targets, np.float64))

    def sample_scores(self, scored: Any, targets: NDArray[Any], keys: Sequence[str]) -> NDArray[np.float64]:
        """The share of known labels that are right at their thresholds, as one sample alone has no mAP."""
        values = np.asarray(targets, np.float64)
        known, given = ~np.isnan(values), self.decode(torch.from_numpy(np.asarray(scored))).numpy() >= self.thresholds
        right = known & (given == (values > 0.5))
        return np.asarray(right.sum(axis=1) / np.maximum(1, known.sum(axis=1)))

    def target_text(self, target: Any) -> str:
        return ", ".join(name for name, value in zip(self.classes, target, strict=True) if value > 0.5) or "none"
