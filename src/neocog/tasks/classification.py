"""Single-label classification: one class for each sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Source
from neocog.evaluation import (
    Classified,
    Statistic,
    Unusual,
    compare_unusual,
    evaluate_classifier,
    expected_calibration_error,
    fit_temperature,
    flag_unusual,
    least_usual,
)
from neocog.tasks.criterion import Criterion
from neocog.tasks.learned import read_number
from neocog.tasks.loss import LossConfig, LossKind, binary_cross_entropy, cross_entropy, focal
from neocog.tasks.match_classes import match_classes
from neocog.tasks.task import Prediction, Task, register_task

__all__ = ["ClassPrediction", "Classification", "balanced_weights"]


@dataclass(frozen=True, slots=True)
class ClassPrediction(Prediction):
    """The most probable class of one input."""

    class_name: str
    probability: float
    top: tuple[tuple[str, float], ...]
    """The most probable classes with their probabilities, in descending order."""

    def to_json(self) -> dict[str, Any]:
        top = [{"class": name, "probability": share} for name, share in self.top]
        return {"class": self.class_name, "probability": self.probability, "top": top}

    def cells(self) -> dict[str, str]:
        others = ", ".join(f"{name} {share:.2%}" for name, share in self.top[1:])
        return {"class": self.class_name, "probability": f"{self.probability:.2%}", "next": others}


@register_task
class Classification(Task):
    """Cross-entropy during training, the most probable class afterwards.

    Validation data set two numbers for predictions: the temperature by which logits are divided, if that is wanted, and
    the least energy, below which an input counts as unlike the training data.
    """

    name = "classification"
    by_class = True
    linear_head = "classes"
    has_probabilities = True
    learns_decisions = True
    calibrates = True
    losses: ClassVar[tuple[LossKind, ...]] = ("cross_entropy", "binary_cross_entropy", "focal")
    criterion = Criterion("accuracy")
    progress_metric = "accuracy"
    progress_percent = True
    columns = ("class", "probability")

    def __init__(
        self,
        classes: tuple[str, ...],
        loss: LossConfig | None = None,
        labels: Tensor | None = None,
        *,
        temperature: float | None = None,
        least_energy: float | None = None,
    ) -> None:
        """`labels` are those of the training data, (N,), from which the weights of classes follow."""
        super().__init__(classes)
        self.temperature, self.least_energy = temperature, least_energy
        config = loss or LossConfig()
        self.kind, self.smoothing, self.gamma = config.kind, config.label_smoothing, config.focal_gamma
        if config.class_weights == "balanced":
            assert labels is not None, "class weights follow from the training data"
            self.weights = balanced_weights(labels, len(classes))

    @classmethod
    def for_training(cls, classes: tuple[str, ...], loss: LossConfig, targets: Tensor) -> Self:
        return cls(classes, loss, targets)

    @classmethod
    def restore(cls, classes: tuple[str, ...], learned: Mapping[str, Any]) -> Self:
        temperature = read_number(learned, "temperature", sign="positive")
        return cls(classes, temperature=temperature, least_energy=read_number(learned, "least_energy"))

    @property
    def learned(self) -> dict[str, Any]:
        found = {"temperature": self.temperature, "least_energy": self.least_energy}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def outputs_text(self) -> str:
        return f"{len(self.classes)} classes"

    def match_targets(self, source: Source, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers: NDArray[np.int64] = match_classes(source, self.classes)[source.targets[indices]]
        return numbers

    def logits_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean loss with label smoothing and class weights; (N, K), and labels (N,) or probabilities (N, K) -> ()."""
        if self.kind == "binary_cross_entropy":
            return binary_cross_entropy(logits, targets, self.smoothing)
        if self.kind == "focal":
            return focal(logits, targets, self.weights, self.gamma)
        return cross_entropy(logits, targets, self.weights, self.smoothing)

    def decode(self, logits: Tensor) -> Tensor:
        """(N, K) logits -> (N, K) probabilities, in float64 so that each row sums to one."""
        return (logits.double() / (self.temperature or 1.0)).softmax(dim=1)

    def average(self, views: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        """The logarithm of the mean probability of all views, plus their mean energy; V times (N, K) -> (N, K).

        Adding the same number to all logits of an input leaves its probabilities, and keeps how large the logits are.
        """
        parts = [(weight, logits.double()) for weight, logits in zip(weights, views, strict=True)]
        mean = sum(weight * logits.softmax(dim=1) for weight, logits in parts)
        size = sum(weight * energy(logits)[:, None] for weight, logits in parts)
        return (torch.as_tensor(mean).log() + size).float()

    def learn_decisions(self, logits: Tensor, targets: Tensor) -> None:
        """The energy that at most 5% of the validation samples stay below."""
        self.least_energy = least_usual(energy(logits).numpy())

    def calibrate(self, logits: Tensor, targets: Tensor) -> str:
        """Set the temperature with the least cross-entropy on validation data; Guo et al. 2017."""
        scores, labels = logits.double().numpy(), targets.numpy()
        self.temperature = fit_temperature(scores, labels)
        before, after = (
            (F.cross_entropy(logits.double() / t, targets).item(), ece_of(logits / t, targets))
            for t in (1.0, self.temperature)
        )
        return (
            f"calibration: a temperature of {self.temperature:.3f} by {len(labels):,} validation samples; "
            f"their loss {before[0]:.4f} -> {after[0]:.4f}, calibration error (ECE) {before[1]:.4f} -> {after[1]:.4f}"
        )

    @property
    def flags_unusual(self) -> bool:
        return self.least_energy is not None

    def unusual_rows(self, logits: Tensor) -> Tensor | None:
        return None if self.least_energy is None else energy(logits) < self.least_energy

    def find_unusual(self, name: str, logits: Tensor, other_name: str, other: Tensor) -> Unusual | None:
        if self.least_energy is None:
            return None
        own, foreign = energy(logits).numpy(), energy(other).numpy()
        return compare_unusual(own, foreign, self.least_energy, (name, other_name))

    def progress_sum(self, logits: Tensor, targets: Tensor) -> float:
        """How many have the highest logit at their label, or at the larger part of a mixture; (N, K), (N,) -> count."""
        labels = targets.argmax(dim=1) if targets.ndim == 2 else targets
        return float((logits.argmax(dim=1) == labels).sum())

    def validation(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        """Loss without label smoothing, and accuracy; (N, K), (N,)."""
        loss = F.cross_entropy(logits.double(), targets)
        return {"loss": loss.item(), "accuracy": self.progress_sum(logits, targets) / len(targets)}

    def predictions(self, names: Sequence[str], logits: Tensor, top: int) -> list[Prediction]:
        found: list[Prediction] = []
        rows = self.unusual_rows(logits)
        unusual: list[bool | None] = [None] * len(names) if rows is None else rows.tolist()
        for name, row, flag in zip(names, self.decode(logits).tolist(), unusual, strict=True):
            ranked = sorted(zip(self.classes, row, strict=True), key=lambda pair: -pair[1])[:top]
            found.append(ClassPrediction(name, *ranked[0], tuple(ranked), unusual=flag))
        return found

    def evaluate(
        self, logits: NDArray[np.floating], targets: NDArray[Any], keys: Sequence[str], *, data: str, split: str
    ) -> Classified:
        found = evaluate_classifier(
            logits, targets, self.classes, keys, data=data, split=split, temperature=self.temperature
        )
        if self.least_energy is None:
            return found
        scores = energy(torch.from_numpy(np.asarray(logits))).numpy()
        return replace(found, unusual=Unusual(flag_unusual(split, scores, self.least_energy)))

    def statistic(self, scored: Any, targets: NDArray[Any], keys: Sequence[str]) -> Statistic:
        correct = self.sample_scores(scored, targets, keys)
        return lambda counts: float((counts @ correct) / counts.sum())

    def sample_scores(self, scored: Any, targets: NDArray[Any], keys: Sequence[str]) -> NDArray[np.float64]:
        """1 for a correct answer, 0 for a wrong one."""
        return np.asarray(np.asarray(scored).argmax(axis=1) == targets, np.float64)

    def target_text(self, target: Any) -> str:
        return self.classes[int(target)]


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """A weight for each class, N / (K n_k), whose mean over the samples is one; (N,) -> (K,).

    >>> balanced_weights(torch.tensor([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    counts = labels.bincount(minlength=num_classes).clamp(min=1)
    return len(labels) / (num_classes * counts.float())


def energy(logits: Tensor) -> Tensor:
    """The logarithm of the sum of exp(logit), which is lower for inputs unlike the training data; (N, K) -> (N,).

    It is the negative of the free energy. Source: Liu et al. 2020, "Energy-based out-of-distribution detection".

    >>> energy(torch.tensor([[0.0, 0.0], [5.0, 0.0]])).round(decimals=3).tolist()
    [0.693, 5.007]
    """
    return logits.double().logsumexp(dim=1)


def ece_of(logits: Tensor, targets: Tensor) -> float:
    """The expected calibration error of softmax(logits); (N, K), (N,) -> a number."""
    confidence, classes = logits.double().softmax(dim=1).max(dim=1)
    return expected_calibration_error(confidence.numpy(), (classes == targets).numpy())
