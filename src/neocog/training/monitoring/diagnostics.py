"""Diagnostics: signs in the figures that training goes wrong, each with its reason and what to try.

Each function returns the text of its warning, or None if all is well.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from neocog.errors import some

__all__ = ["dead_layers", "overfitting", "plateau", "slow_data", "still_improving"]

WAITING, MIN_WAITED = 0.25, 1.0  # share of an epoch, and seconds: less does not matter
GAP, GROWING = 0.10, 3  # in accuracy; epochs in a row
NEAR = 0.01  # share of the loss of guessing
FALLING, WORTH = 2, 0.01  # epochs in a row; share of the validation loss that an epoch took off
MIN_STEPS = 20  # no network learns much in fewer steps


def slow_data(epoch: int, seconds: float, waited: float) -> str | None:
    """More than a quarter of an epoch was spent waiting for batches.

    >>> slow_data(1, seconds=10, waited=2) is None
    True
    """
    if waited < MIN_WAITED or waited <= WAITING * seconds:
        return None
    return (
        f"Training is limited by data: {waited / seconds:.0%} of epoch {epoch} ({waited:.1f} of {seconds:.1f} s) was "
        "spent waiting for batches. What helps: pack the data once, with images not much larger than needed (neocog "
        "pack DATA OUT --resize 256); smaller inputs (--data.size); less augmentation; more processor cores for the "
        "threads that decode."
    )


def dead_layers(activations: Sequence[str], layers: Sequence[str], steps: int) -> str | None:
    """Activations that were zero throughout, and layers without a gradient, in N probed steps in a row."""
    if not activations and not layers:
        return None
    parts = []
    if activations:
        parts.append(f"{some(activations)} gave zero in every channel for every input")
    if layers:
        parts.append(f"{some(layers)} got a gradient of exactly zero")
    return (
        f"Dead layers: in each of {steps} probed steps {', and '.join(parts)}. Dead layers no longer learn. Try a "
        "lower rate (--optimizer.lr), a warm-up (--schedule.warmup_epochs 1), or other initial weights."
    )


def overfitting(history: Sequence[Mapping[str, float]]) -> str | None:
    """Training accuracy is 10 points above validation accuracy; gap and validation loss grew for 3 epochs."""
    rows = history[-GROWING - 1 :]
    if len(rows) <= GROWING or not {"train_accuracy", "val_accuracy"} <= rows[-1].keys():
        return None
    gaps = [row["train_accuracy"] - row["val_accuracy"] for row in rows]
    losses = [row["val_loss"] for row in rows]
    if gaps[-1] <= GAP or not is_rising(gaps) or not is_rising(losses):
        return None
    last = rows[-1]
    return (
        f"Overfitting: accuracy is {last['train_accuracy']:.1%} on training and "
        f"{last['val_accuracy']:.1%} on validation data, the gap has grown for {GROWING} epochs, and the validation "
        f"loss rose from {losses[0]:.3f} to {losses[-1]:.3f}. The network memorises its training samples. Try more "
        "augmentation, a larger --optimizer.weight_decay, or stopping early (--train.patience 3)."
    )


def still_improving(history: Sequence[Mapping[str, float]]) -> str | None:
    """In each of the last 2 epochs the validation loss fell by 1% or more, and no epoch had a higher accuracy.

    Once every validation sample is classified correctly there is nothing left to improve.

    >>> still_improving([{"val_loss": loss, "val_accuracy": 1 - loss} for loss in (0.9, 0.8, 0.7)])
    'Still improving: the validation loss fell in each of the last 2 epochs, from 0.900 to 0.700.'
    """
    losses = [row["val_loss"] for row in history[-FALLING - 1 :]]
    accuracies = [row["val_accuracy"] for row in history if "val_accuracy" in row]
    if len(losses) <= FALLING or (accuracies and (accuracies[-1] < max(accuracies) or accuracies[-1] == 1)):
        return None
    if not all(later <= (1 - WORTH) * earlier for earlier, later in pairwise(losses)):
        return None
    return (
        f"Still improving: the validation loss fell in each of the last {FALLING} epochs, from {losses[0]:.3f} to "
        f"{losses[-1]:.3f}."
    )


def is_rising(values: Sequence[float]) -> bool:
    return all(later > earlier for earlier, later in pairwise(values))


def plateau(row: Mapping[str, float], num_classes: int, num_steps: int) -> str | None:
    """After the first epoch the validation loss is within 1% of that of guessing, ln(K) for K classes.

    A training loss well above it means that the loss had to come down to that level, as it does if steps are too large.
    """
    guessing = math.log(num_classes) if num_classes > 1 else 0.0
    if num_steps < MIN_STEPS or not guessing or row["train_loss"] < (1 - NEAR) * guessing:
        return None
    if abs(row["val_loss"] - guessing) > NEAR * guessing:
        return None
    above = row["train_loss"] > (1 + NEAR) * guessing
    advice = "a rate ten times lower" if above else "a rate ten times higher, or ten times lower"
    return (
        f"The loss is on a plateau: after the first epoch it is {row['val_loss']:.4f} on validation data, and guessing "
        f"among {num_classes} classes gives ln({num_classes}) = {guessing:.4f}. Try {advice} (--optimizer.lr), and "
        "check that the labels belong to their inputs (neocog check DATA)."
    )
