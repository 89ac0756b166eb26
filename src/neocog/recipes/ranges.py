"""The ranges in which a study looks for better settings, as each recipe and task declares them.

A declaration may be relative to the recipe: a learning rate is looked for around that of the recipe.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neocog.runs import RunConfig
from neocog.runs.config import flat

__all__ = ["Around", "Choices", "Numbers", "Range", "Times", "declared_ranges"]


@dataclass(frozen=True, slots=True)
class Numbers:
    """All numbers from `low` to `high`, both included; `log`: every factor is equally likely."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __str__(self) -> str:
        """The range as `--range` takes it.

        >>> str(Numbers(1e-4, 0.01, log=True)), str(Numbers(0, 0.2))
        ('0.0001..0.01:log', '0..0.2:linear')
        """
        return f"{self.low:.6g}..{self.high:.6g}:{'log' if self.log else 'linear'}"


@dataclass(frozen=True, slots=True)
class Choices:
    """One of these values, in no order."""

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return ",".join("none" if value is None else str(value) for value in self.values)


Range = Numbers | Choices


@dataclass(frozen=True, slots=True)
class Around:
    """Numbers from the recipe's value divided by `factor` to that value times `factor`.

    >>> str(Around(10).of(0.002))
    '0.0002..0.02:log'
    """

    factor: float

    def of(self, value: Any) -> Range | None:
        """The range for a recipe with this value; None if it has none, or zero."""
        return Numbers(value / self.factor, value * self.factor, log=True) if value else None


@dataclass(frozen=True, slots=True)
class Times:
    """The recipe's whole number, times each of these factors.

    >>> str(Times((0.5, 1, 2)).of(64))
    '32,64,128'
    """

    factors: tuple[float, ...]

    def of(self, value: Any) -> Range | None:
        """The range for a recipe with this value; None if it has none."""
        if not value:
            return None
        return Choices(tuple(dict.fromkeys(max(1, math.ceil(value * factor)) for factor in self.factors)))


Declared = Mapping[str, Numbers | Choices | Around | Times]

EVERYWHERE: Declared = {
    "optimizer.lr": Around(10),
    "optimizer.weight_decay": Around(10),
    "train.batch_size": Times((0.5, 1, 2)),
}
"""For every recipe and task."""
OF_TASK: Mapping[str, Declared] = {
    "classification": {"loss.label_smoothing": Numbers(0.0, 0.2)},
    "multi-label": {"loss.kind": Choices(("binary_cross_entropy", "asymmetric"))},
    "regression": {"loss.kind": Choices(("huber", "l1", "l2"))},
    "segmentation": {"loss.kind": Choices(("cross_entropy_dice", "cross_entropy"))},
    "multi-label segmentation": {"loss.kind": Choices(("binary_cross_entropy_dice", "binary_cross_entropy"))},
}
OF_RECIPE: Mapping[str, Declared] = {
    "general": {"augment.shift": Choices((0, 2, 4))},
    "signal": {"augment_signal.scale": Numbers(0.0, 0.2)},
    "sound": {"optimizer.lr": Around(5)},
    "text": {"model.dropout": Numbers(0.2, 0.7)},
    "finetune": {"optimizer.lr": Around(5), "optimizer.layer_decay": Numbers(0.5, 1.0)},
    "image_labels": {"optimizer.lr": Around(5)},
    "image_values": {"optimizer.lr": Around(5)},
    "detection": {"optimizer.lr": Around(5)},
}
"""In addition to those above, or instead of those of the same setting."""


def declared_ranges(recipe: str, task: str, config: RunConfig) -> dict[str, Range]:
    """The ranges of a recipe for a task, by dotted key, around the values of its config.

    >>> from neocog.recipes import recipe
    >>> {key: str(found) for key, found in declared_ranges("general", "classification", recipe("general", "x")).items()}
    {'optimizer.lr': '5e-05..0.005:log', 'optimizer.weight_decay': '0.001..0.1:log', 'train.batch_size': '32,64,128',
     'loss.label_smoothing': '0..0.2:linear', 'augment.shift': '0,2,4'}
    """
    declared = {**EVERYWHERE, **OF_TASK.get(task, {}), **OF_RECIPE.get(recipe, {})}
    values = dict(flat(config))
    found = {
        key: one.of(values[key]) if isinstance(one, Around | Times) else one
        for key, one in declared.items()
        if key in values
    }
    return {key: one for key, one in found.items() if one is not None}
