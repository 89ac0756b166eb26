"""One class for each record."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from neocog.settings import SETTINGS
from neocog.zoo import WithAuxiliary

__all__ = ["Classification", "LossConfig"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class LossConfig:
    """What training minimises."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread evenly over all classes (Szegedy et al. 2016, section 7)."""


class Classification:
    """Cross-entropy while learning; the most probable class afterwards."""

    def __init__(self, classes: tuple[str, ...], loss: LossConfig | None = None) -> None:
        self.classes = classes
        self.smoothing = (loss or LossConfig()).label_smoothing

    def loss(self, outputs: Tensor | WithAuxiliary, labels: Tensor) -> Tensor:
        """Mean cross-entropy with label smoothing, that of auxiliary classifiers added with its weight.

        (N, K) logits, (N,) -> ().
        """
        if isinstance(outputs, WithAuxiliary):
            return self.loss(outputs.logits, labels) + outputs.weight * sum(
                self.loss(logits, labels) for logits in outputs.auxiliary
            )
        return F.cross_entropy(outputs, labels, label_smoothing=self.smoothing)

    def logits(self, outputs: Tensor | WithAuxiliary) -> Tensor:
        """What is scored of a network's outputs; (N, K)."""
        return outputs.logits if isinstance(outputs, WithAuxiliary) else outputs

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N, K) logits -> (N, K) probabilities, in float64 so that each row sums to one."""
        return logits.double().softmax(dim=1)

    def num_correct(self, logits: Tensor, labels: Tensor) -> int:
        """How many have the highest logit at their label; (N, K), (N,) -> a count."""
        return int((logits.argmax(dim=1) == labels).sum())

    def validation(self, logits: Tensor, labels: Tensor) -> dict[str, float]:
        """The figures that are followed during training, without label smoothing; (N, K), (N,)."""
        loss = F.cross_entropy(logits.double(), labels)
        return {"loss": loss.item(), "accuracy": self.num_correct(logits, labels) / len(labels)}

    def check_logits(self, logits: Tensor) -> None:
        """One logit for each class; an invariant of ours, since networks are built for the classes of the data."""
        assert logits.shape[1:] == torch.Size([len(self.classes)]), logits.shape
