"""The time of a run: what it has used, what is left, and how it is shared out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from neocog.auto.journal import Journal
from neocog.runs.budget import LEAST_TRAINING, report_seconds

__all__ = ["Budget"]


@dataclass(kw_only=True, slots=True)
class Budget:
    """Seconds of a run, from the start of its process.

    >>> budget = Budget(seconds=60.0, began=100.0, used_before=5.0, now=lambda: 110.0)
    >>> budget.used(), budget.left()
    (15.0, 41.0)
    """

    seconds: float
    """For everything, up to the printed test figure."""
    began: float
    """When the process began, by `now`."""
    used_before: float = 0.0
    """Seconds that stopped processes of this run used."""
    now: Callable[[], float] = field(default=time.monotonic)

    @classmethod
    def start(cls, minutes: float, journal: Journal, process_seconds: float) -> "Budget":
        """The budget of a run whose process has lasted N seconds."""
        return cls(seconds=60 * minutes, began=time.monotonic() - process_seconds, used_before=journal.seconds)

    def used(self) -> float:
        """Seconds so far, in all processes of this run."""
        return self.used_before + self.now() - self.began

    def left(self) -> float:
        """Seconds until the report must begin."""
        return self.seconds - report_seconds(self.seconds) - self.used()

    def for_training(self) -> float:
        """Seconds that training gets if it begins now: what is left, or its least share of the budget.

        >>> Budget(seconds=60.0, began=0.0, now=lambda: 58.0).for_training()
        15.0
        """
        return max(self.left(), LEAST_TRAINING * self.seconds)
