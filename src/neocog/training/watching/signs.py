"""Signs that training goes wrong, each read from figures and told with its reason and what to try.

Each function gives the words of its warning, or nothing where all is well.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from neocog.errors import some

__all__ = ["dead_layers", "parting_curves", "slow_data", "still_improving", "still_loss"]

WAITING, MIN_WAITED = 0.25, 1.0  # share of an epoch, and seconds: below that nobody minds
GAP, GROWING = 0.10, 3  # in accuracy; epochs in a row
NEAR = 0.01  # share of the loss of guessing
FALLING, WORTH = 2, 0.01  # epochs in a row; share of the validation loss that an epoch took off
MIN_STEPS = 20  # in fewer steps no network learns much


def slow_data(epoch: int, seconds: float, waited: float) -> str | None:
    """More than a quarter of an epoch went by waiting for batches.

    >>> slow_data(1, seconds=10, waited=2) is None
    True
    """
    if waited < MIN_WAITED or waited <= WAITING * seconds:
        return None
    return (
        f"Training is limited by data: {waited / seconds:.0%} of epoch {epoch} ({waited:.1f} of {seconds:.1f} s) was "
        "spent waiting for batches. What helps: pack the data once, with pictures not much larger than needed (neocog "
        "pack DATA OUT --resize 256); smaller inputs (--image.size); less augmentation; more processor cores for the "
        "threads that decode."
    )


def dead_layers(activations: Sequence[str], layers: Sequence[str], steps: int) -> str | None:
    """Activations that were zero throughout, and layers that got no gradient, for so many watched steps in a row."""
    if not activations and not layers:
        return None
    parts = []
    if activations:
        parts.append(f"{some(activations)} gave zero in every channel for every input")
    if layers:
        parts.append(f"{some(layers)} got a gradient of exactly zero")
    return (
        f"Dead layers: in each of {steps} watched steps {', and '.join(parts)}. What is dead no longer learns. Try a "
        "lower rate (--optimizer.lr), a warm-up (--schedule.warmup_epochs 1), or other initial weights."
    )


def parting_curves(history: Sequence[Mapping[str, float]]) -> str | None:
    """Training accuracy is 10 points above validation accuracy, and for 3 epochs their gap and validation loss grew."""
    if len(history) <= GROWING or "train_accuracy" not in history[-1]:
        return None
    rows = history[-GROWING - 1 :]
    gaps = [row["train_accuracy"] - row["val_accuracy"] for row in rows]
    losses = [row["val_loss"] for row in rows]
    if gaps[-1] <= GAP or not rising(gaps) or not rising(losses):
        return None
    last = rows[-1]
    return (
        f"Training and validation part: accuracy is {last['train_accuracy']:.1%} on training and "
        f"{last['val_accuracy']:.1%} on validation data, the gap has grown for {GROWING} epochs, and the validation "
        f"loss rose from {losses[0]:.3f} to {losses[-1]:.3f}. The network learns its examples by heart. Try more "
        "augmentation, a larger --optimizer.weight_decay, or stopping early (--train.patience 3)."
    )


def still_improving(history: Sequence[Mapping[str, float]]) -> str | None:
    """In each of the last 2 epochs the validation loss fell by 1% or more, and no epoch had a higher accuracy.

    Where nothing of the validation data is taken for anything else any more, there is nothing to improve.

    >>> still_improving([{"val_loss": loss, "val_accuracy": 1 - loss} for loss in (0.9, 0.8, 0.7)])
    'It still improves: in each of the last 2 epochs the validation loss fell, from 0.900 to 0.700.'
    """
    losses = [row["val_loss"] for row in history[-FALLING - 1 :]]
    accuracies = [row["val_accuracy"] for row in history if "val_accuracy" in row]
    if len(losses) <= FALLING or (accuracies and (accuracies[-1] < max(accuracies) or accuracies[-1] == 1)):
        return None
    if not all(later <= (1 - WORTH) * earlier for earlier, later in pairwise(losses)):
        return None
    return (
        f"It still improves: in each of the last {FALLING} epochs the validation loss fell, from {losses[0]:.3f} to "
        f"{losses[-1]:.3f}."
    )


def rising(values: Sequence[float]) -> bool:
    return all(later > earlier for earlier, later in pairwise(values))


def still_loss(row: Mapping[str, float], num_classes: int, num_steps: int) -> str | None:
    """After the first epoch the loss on validation data is that of guessing, ln(K) for K classes, give or take 1%.

    A training loss well above it means that the loss had to come down to there, as it does where steps are too large.
    """
    guessing = math.log(num_classes) if num_classes > 1 else 0.0
    if num_steps < MIN_STEPS or not guessing or row["train_loss"] < (1 - NEAR) * guessing:
        return None
    if abs(row["val_loss"] - guessing) > NEAR * guessing:
        return None
    above = row["train_loss"] > (1 + NEAR) * guessing
    advice = "a rate ten times lower" if above else "a rate ten times higher, or ten times lower"
    return (
        f"The loss does not fall: after the first epoch it is {row['val_loss']:.4f} on validation data, and guessing "
        f"among {num_classes} classes gives ln({num_classes}) = {guessing:.4f}. Try {advice} (--optimizer.lr), and see "
        "whether labels belong to their inputs (neocog check DATA)."
    )
