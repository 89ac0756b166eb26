"""Single-label classification: one class for each sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Source
from neocog.evaluation import Classified, evaluate_classifier
from neocog.tasks.criterion import Criterion
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
    """Cross-entropy during training, the most probable class afterwards."""

    name = "classification"
    by_class = True
    has_probabilities = True
    losses: ClassVar[tuple[LossKind, ...]] = ("cross_entropy", "binary_cross_entropy", "focal")
    criterion = Criterion("accuracy")
    progress_metric = "accuracy"
    progress_percent = True
    columns = ("class", "probability")

    def __init__(self, classes: tuple[str, ...], loss: LossConfig | None = None, labels: Tensor | None = None) -> None:
        """`labels` are those of the training data, (N,), from which the weights of classes follow."""
        super().__init__(classes)
        config = loss or LossConfig()
        self.kind, self.smoothing, self.gamma = config.kind, config.label_smoothing, config.focal_gamma
        if config.class_weights == "balanced":
            assert labels is not None, "class weights follow from the training data"
            self.weights = balanced_weights(labels, len(classes))

    @classmethod
    def for_training(cls, classes: tuple[str, ...], loss: LossConfig, targets: Tensor) -> Self:
        return cls(classes, loss, targets)

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
        return logits.double().softmax(dim=1)

    def average(self, views: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        """The logarithm of the mean probability of all views; V times (N, K) -> (N, K)."""
        mean = sum(weight * self.decode(logits) for weight, logits in zip(weights, views, strict=True))
        return torch.as_tensor(mean).log().float()

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
        for name, row in zip(names, self.decode(logits).tolist(), strict=True):
            ranked = sorted(zip(self.classes, row, strict=True), key=lambda pair: -pair[1])[:top]
            found.append(ClassPrediction(name, *ranked[0], tuple(ranked)))
        return found

    def evaluate(
        self, logits: NDArray[np.floating], targets: NDArray[Any], keys: Sequence[str], *, data: str, split: str
    ) -> Classified:
        return evaluate_classifier(logits, targets, self.classes, keys, data=data, split=split)


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """A weight for each class, N / (K n_k), whose mean over the samples is one; (N,) -> (K,).

    >>> balanced_weights(torch.tensor([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    counts = labels.bincount(minlength=num_classes).clamp(min=1)
    return len(labels) / (num_classes * counts.float())
