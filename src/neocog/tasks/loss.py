"""The losses that training can minimise, and their settings."""

from dataclasses import fields
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from neocog.settings import SETTINGS

__all__ = ["LossConfig", "LossKind", "asymmetric", "binary_cross_entropy", "cross_entropy", "focal"]

LossKind = Literal[
    "cross_entropy", "binary_cross_entropy", "focal", "asymmetric", "l1", "l2", "huber", "dice", "cross_entropy_dice",
    "binary_cross_entropy_dice", "centre_points",
]  # fmt: skip
FOCUS = 2.0  # Lin et al. 2017, section 5.1
ASYMMETRY, MARGIN = 4.0, 0.05  # Ridnik et al. 2021, section 4

SETTINGS_OF: dict[str, frozenset[str]] = {
    "cross_entropy": frozenset({"label_smoothing", "class_weights"}),
    "binary_cross_entropy": frozenset({"label_smoothing"}),
    "focal": frozenset({"class_weights", "focal_gamma"}),
    "huber": frozenset({"huber_delta"}),
    "dice": frozenset(),
    "cross_entropy_dice": frozenset({"class_weights"}),
    "binary_cross_entropy_dice": frozenset({"label_smoothing"}),
    "centre_points": frozenset(),
}
"""The other settings that each kind takes into account; none, if it is not listed."""


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class LossConfig:
    """The loss that training minimises."""

    kind: LossKind | None = None
    """Unset: the usual loss of the task. Classes: cross_entropy, focal (hard samples count more), or
    binary_cross_entropy of each class on its own, where all classes of a mixed input count as present. Several labels:
    binary_cross_entropy or asymmetric. Numbers: huber, l1 or l2. Masks: cross_entropy_dice, cross_entropy or dice;
    binary_cross_entropy_dice, binary_cross_entropy or dice if they overlap. Boxes: centre_points."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target spread evenly over all classes (Szegedy et al. 2016, section 7)."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weight each class by the inverse of its share of the training data, so that rare classes count as much."""
    focal_gamma: Annotated[float, Field(ge=0, le=10)] | None = None
    """How much less a sample counts the better it is classified already; unset: 2 (Lin et al. 2017)."""
    huber_delta: Annotated[float, Field(gt=0)] | None = None
    """Error, in standard deviations of the target, from which it counts in proportion, not squared; unset: 1."""

    def ignored(self) -> dict[str, str]:
        if self.kind is None:
            return {}
        used = SETTINGS_OF.get(self.kind, frozenset())
        others = [field.name for field in fields(self) if field.name not in ("kind", *used)]
        return dict.fromkeys(others, f"loss.kind is {self.kind}")


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy; (N, K), and labels (N,) or probabilities (N, K) -> ()."""
    return F.cross_entropy(logits, targets, None if weights is None else weights.to(logits), label_smoothing=smoothing)


def focal(logits: Tensor, targets: Tensor, weights: Tensor | None = None, gamma: float | None = None) -> Tensor:
    """Mean of -w (1 - p)^gamma log p over the true class, or over all classes of a mixture by their shares.

    (N, K), and labels (N,) or probabilities (N, K) -> (). With gamma 0 it is the cross-entropy.
    Source: Lin et al. 2017, section 3.2.

    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> torch.equal(focal(logits, torch.tensor([0, 1]), gamma=0.0), cross_entropy(logits, torch.tensor([0, 1])))
    True
    """
    log_probs = logits.log_softmax(dim=1)
    shares = F.one_hot(targets, logits.shape[1]).to(logits) if targets.ndim == 1 else targets
    shares = shares if weights is None else shares * weights.to(logits)
    power = FOCUS if gamma is None else gamma
    # For a power below one, the slope of 0 ** power would be infinite where p is one.
    missing = (-torch.expm1(log_probs)).clamp(min=torch.finfo(logits.dtype).tiny)
    losses = -shares * missing**power * log_probs
    # As torch's cross-entropy: by the sum of the weights of labels, by the number of samples for probabilities.
    divisor = shares.sum() if targets.ndim == 1 else torch.tensor(float(len(logits)))
    return losses.sum() / divisor.to(losses)


def binary_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean over samples and classes of -t log p - (1 - t) log(1 - p), with p = sigmoid(logit); (N, K) -> ().

        t = s/K,  and 1 - s + s/K for the class, or for all classes of a mixture

    `labels` are classes (N,) or probabilities (N, K). Source: Wightman et al. 2021, section 2.1.
    """
    present = labels > 0 if labels.ndim == 2 else F.one_hot(labels, logits.shape[1]) > 0
    targets = present.to(logits) * (1 - smoothing) + smoothing / logits.shape[1]
    return F.binary_cross_entropy_with_logits(logits, targets)


def asymmetric(logits: Tensor, targets: Tensor) -> Tensor:
    """The loss of each label, in which the many absent labels count the less the surer they are; (N, K) -> (N, K).

        present: -log p        absent: -q^4 log(1 - q),  q = max(p - 0.05, 0)

    Source: Ridnik et al. 2021, "Asymmetric loss for multi-label classification", section 2.
    """
    probs = logits.sigmoid()
    shifted = (probs - MARGIN).clamp(min=0)
    absent = -(shifted**ASYMMETRY) * torch.log1p(-shifted)
    return torch.where(targets > 0.5, -F.logsigmoid(logits), absent)
