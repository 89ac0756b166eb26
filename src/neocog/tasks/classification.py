"""Single-label classification: one class for each sample."""

from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from neocog.dataset.record import Source
from neocog.evaluation import Classified, evaluate_classifier
from neocog.settings import SETTINGS
from neocog.tasks.criterion import Criterion
from neocog.tasks.match_classes import match_classes
from neocog.tasks.task import Prediction, Task, register_task

__all__ = ["ClassPrediction", "Classification", "LossConfig", "NextMove", "balanced_weights"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class LossConfig:
    """The loss that training minimises."""

    kind: Literal["cross_entropy", "binary_cross_entropy"] = "cross_entropy"
    """Cross-entropy of the softmax over all classes, or binary cross-entropy of each class on its own, where all
    classes of a mixed input count as present."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread evenly over all classes (Szegedy et al. 2016, section 7)."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weight each class by the inverse of its share of the training data, so that rare classes count as much."""

    def ignored(self) -> dict[str, str]:
        return {"class_weights": "loss.kind is binary_cross_entropy"} if self.kind == "binary_cross_entropy" else {}


@plain_dataclass(frozen=True, slots=True)
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
    criterion = Criterion("accuracy")
    progress_metric = "accuracy"
    progress_percent = True
    columns = ("class", "probability")

    def __init__(self, classes: tuple[str, ...], loss: LossConfig | None = None, labels: Tensor | None = None) -> None:
        """`labels` are those of the training data, (N,), from which the weights of classes follow."""
        super().__init__(classes)
        config = loss or LossConfig()
        self.smoothing = config.label_smoothing
        self.binary = config.kind == "binary_cross_entropy"
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
        if self.binary:
            return binary_cross_entropy(logits, targets, self.smoothing)
        weights = None if self.weights is None else self.weights.to(logits)
        return F.cross_entropy(logits, targets, weights, label_smoothing=self.smoothing)

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


@register_task
class NextMove(Classification):
    """The next move of a game as one of the points of the board: a class that need not occur in every data set."""

    name = "next move"
    network_task = "next move"


def binary_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean over samples and classes of -t log p - (1 - t) log(1 - p), with p = sigmoid(logit); (N, K) -> ().

        t = s/K,  and 1 - s + s/K for the class, or for all classes of a mixture

    `labels` are classes (N,) or probabilities (N, K). Source: Wightman et al. 2021, section 2.1.
    """
    present = labels > 0 if labels.ndim == 2 else F.one_hot(labels, logits.shape[1]) > 0
    targets = present.to(logits) * (1 - smoothing) + smoothing / logits.shape[1]
    return F.binary_cross_entropy_with_logits(logits, targets)


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """A weight for each class, N / (K n_k), whose mean over the samples is one; (N,) -> (K,).

    >>> balanced_weights(torch.tensor([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    counts = labels.bincount(minlength=num_classes).clamp(min=1)
    return len(labels) / (num_classes * counts.float())
