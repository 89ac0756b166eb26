"""How fast engines are, side by side: each takes its turn, so that whatever else the machine does meets all alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from neocog.progress import Bar

__all__ = ["Case", "Timing", "best_cases", "time_in_turns"]

Case = tuple[str, int]
"""An engine and a batch size."""
TURNS = 3  # at least, of each case
SAME = 0.98  # the share of the highest throughput from which a smaller batch is as good


@dataclass(slots=True)
class Timing:
    """The times of one engine at one batch size."""

    batch: int
    seconds: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Inputs a second, by the median time."""
        return self.batch / float(np.median(self.seconds))

    def latency(self, percent: float) -> float:
        """The seconds of a batch that this share of the batches stays within."""
        return float(np.percentile(self.seconds, percent))


def time_in_turns(
    calls: Mapping[Case, Callable[[], object]], seconds: float, *, label: str = "timing engines"
) -> dict[Case, Timing]:
    """Time all cases in turns until this time is over; each at least three times, after one call that is not counted.

    What costs little is called more often in its turn, so that all have about the same time.
    """
    found = {case: Timing(case[1]) for case in calls}
    slowest = 0.0
    with Bar(label, seconds) as bar:
        once: dict[Case, float] = {}
        for case, call in calls.items():
            call()
            once[case] = timed(call)
            slowest = max(slowest, once[case])
            bar.draw(0, text=case[0])
        began, turn = time.perf_counter(), 0
        while turn < TURNS or time.perf_counter() - began < seconds:
            for case, call in calls.items():
                for _ in range(repeats(once[case], slowest)):
                    found[case].seconds.append(timed(call))
                bar.draw(min(time.perf_counter() - began, seconds), text=case[0])
            turn += 1
    return found


def repeats(seconds: float, slowest: float) -> int:
    """How often a case is called in its turn, so that short ones are not a single glance at a busy machine."""
    return max(1, min(20, int(0.5 * slowest / max(seconds, 1e-6))))


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def best_cases(timings: Mapping[Case, Timing]) -> dict[str, int]:
    """The batch size with the highest throughput of each engine; the smallest of those that are as fast."""
    found: dict[str, int] = {}
    for name in dict.fromkeys(name for name, _ in timings):
        speeds = {batch: timing.per_second for (each, batch), timing in timings.items() if each == name}
        top = max(speeds.values())
        found[name] = min(batch for batch, speed in speeds.items() if speed >= SAME * top)
    return found


def with_floor(batches: Sequence[int], most: int) -> tuple[int, ...]:
    """Batch sizes that the samples at hand can fill, 1 among them."""
    return tuple(sorted({1, *(batch for batch in batches if batch <= most)}))
