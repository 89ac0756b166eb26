"""Which validation metric chooses the checkpoint, and in which direction."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Criterion"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """A metric of `Task.validation`, and whether the largest or the smallest value is the best.

    >>> Criterion("accuracy").better(0.9, 0.8), Criterion("loss", "min").better(0.9, 0.8)
    (True, False)
    """

    metric: str
    mode: Literal["max", "min"] = "max"

    def better(self, new: float, old: float) -> bool:
        """Whether `new` is strictly better than `old`."""
        return new > old if self.mode == "max" else new < old
