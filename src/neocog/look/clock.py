"""The time that a look may take."""

import time

__all__ = ["Clock"]


class Clock:
    """Seconds since the start, against a limit.

    `limited` becomes true as soon as something was left out because the time was up: until then, results depend on the
    data and the seed only.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.start, self.limited = seconds, time.monotonic(), False

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def left(self, share: float) -> float:
        """Seconds until a share of the time is up; 0 if it is."""
        return max(0.0, share * self.seconds - self.elapsed)

    def is_past(self, share: float) -> bool:
        """Whether more than a share of the time is up, so that the caller stops."""
        past = self.elapsed > share * self.seconds
        self.limited = self.limited or past
        return past
