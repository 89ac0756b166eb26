"""One class for each record."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from neocog.settings import SETTINGS
from neocog.tasks.criterion import Criterion
from neocog.zoo import WithAuxiliary

__all__ = ["Classification", "LossConfig", "balanced_weights"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class LossConfig:
    """What training minimises."""

    kind: Literal["cross_entropy", "binary_cross_entropy"] = "cross_entropy"
    """Of one class out of all, or of each class for itself: there or not; in a mixture all its classes are there."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread evenly over all classes (Szegedy et al. 2016, section 7)."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weigh each class by the inverse of its share of the training data, so that rare ones count as much."""

    def ignored(self) -> dict[str, str]:
        return {"class_weights": "loss.kind is binary_cross_entropy"} if self.kind == "binary_cross_entropy" else {}


class Classification:
    """Cross-entropy while learning; the most probable class afterwards."""

    criterion = Criterion("accuracy")
    progress_metric = "accuracy"
    progress_percent = True

    def __init__(self, classes: tuple[str, ...], loss: LossConfig | None = None, labels: Tensor | None = None) -> None:
        """`labels` are those of the training data, (N,), from which the weights of classes follow."""
        self.classes = classes
        config = loss or LossConfig()
        self.smoothing = config.label_smoothing
        self.binary = config.kind == "binary_cross_entropy"
        self.weights = None
        if config.class_weights == "balanced":
            assert labels is not None, "class weights follow from the training data"
            self.weights = balanced_weights(labels, len(classes))

    def loss(self, outputs: Tensor | WithAuxiliary, labels: Tensor) -> Tensor:
        """Mean loss with label smoothing and class weights, that of auxiliary classifiers added.

        (N, K) logits, and labels (N,) or probabilities (N, K) -> ().
        """
        if isinstance(outputs, WithAuxiliary):
            return self.loss(outputs.logits, labels) + outputs.weight * sum(
                self.loss(logits, labels) for logits in outputs.auxiliary
            )
        if self.binary:
            return binary_cross_entropy(outputs, labels, self.smoothing)
        weights = None if self.weights is None else self.weights.to(outputs)
        return F.cross_entropy(outputs, labels, weights, label_smoothing=self.smoothing)

    def logits(self, outputs: Tensor | WithAuxiliary) -> Tensor:
        """What is scored of a network's outputs; (N, K)."""
        return outputs.logits if isinstance(outputs, WithAuxiliary) else outputs

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N, K) logits -> (N, K) probabilities, in float64 so that each row sums to one."""
        return logits.double().softmax(dim=1)

    def progress_sum(self, logits: Tensor, labels: Tensor) -> float:
        """How many have the highest logit at their label, or at a mixture's larger part; (N, K), (N,) -> a count."""
        labels = labels.argmax(dim=1) if labels.ndim == 2 else labels
        return float((logits.argmax(dim=1) == labels).sum())

    def validation(self, logits: Tensor, labels: Tensor) -> dict[str, float]:
        """The figures that are followed during training, without label smoothing; (N, K), (N,)."""
        loss = F.cross_entropy(logits.double(), labels)
        return {"loss": loss.item(), "accuracy": self.progress_sum(logits, labels) / len(labels)}

    def check_logits(self, logits: Tensor) -> None:
        """One logit for each class; an invariant of ours, since networks are built for the classes of the data."""
        assert logits.shape[1:] == torch.Size([len(self.classes)]), logits.shape


def binary_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean over records and classes of -t log p - (1 - t) log(1 - p), with p = sigmoid(logit); (N, K) -> ().

        t = s/K,  and 1 - s + s/K for the class, or for all classes of a mixture

    `labels` are classes (N,) or probabilities (N, K). Source: Wightman et al. 2021, section 2.1.
    """
    there = labels > 0 if labels.ndim == 2 else F.one_hot(labels, logits.shape[1]) > 0
    targets = there.to(logits) * (1 - smoothing) + smoothing / logits.shape[1]
    return F.binary_cross_entropy_with_logits(logits, targets)


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """A weight for each class, N / (K n_k), whose mean over the records is one; (N,) -> (K,).

    >>> balanced_weights(torch.tensor([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    counts = labels.bincount(minlength=num_classes).clamp(min=1)
    return len(labels) / (num_classes * counts.float())
