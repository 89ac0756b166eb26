"""The batch size finder: sizes are doubled, then halved in, until the largest that fits or the fastest is known."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from neocog.errors import ConfigError
from neocog.planning import size_in_bytes

__all__ = ["BatchSizes", "Tried", "search_sizes"]

FIRST = 8
ROUND = 8  # kernels work in blocks of so many
FINE = 16  # the largest size is known to a sixteenth, or to a block
SAME = 0.05  # of the speed: less is no difference
STALE = 2  # doublings without a gain after which larger batches are no faster


@dataclass(frozen=True, slots=True)
class Tried:
    """One batch size, with what it took."""

    size: int
    fits: bool
    memory_bytes: int
    """At its fullest, beside what was in use before; expected where it was not trained, 0 where that is not known."""
    samples_per_second: float | None
    """None where it was not trained to the end."""

    def __str__(self) -> str:
        if self.samples_per_second is not None:
            return f"{self.size:,}: {self.samples_per_second:,.0f}/s in {size_in_bytes(self.memory_bytes)}"
        needs = f" ({size_in_bytes(self.memory_bytes)})" if self.memory_bytes else ""
        return f"{self.size:,}: does not fit{needs}"


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """The sizes that were tried, ascending, and the one that is proposed."""

    tried: tuple[Tried, ...]
    limit_bytes: int
    """Memory that a batch may take."""
    proposed: Tried
    reason: str

    @property
    def size(self) -> int:
        return self.proposed.size

    def __str__(self) -> str:
        figures = "; ".join(str(tried) for tried in self.tried)
        return f"batch size {self.size:,}, {self.reason}; {size_in_bytes(self.limit_bytes)} may be taken. {figures}"

    def to_json(self) -> dict[str, Any]:
        return {"size": self.size, "reason": self.reason, **asdict(self)}


def search_sizes(
    measure: Callable[[int], Tried],
    *,
    most: int,
    limit: int,
    largest: bool,
    expected: Callable[[int], int] = lambda size: 0,
) -> BatchSizes:
    """Try sizes of at most `most` records, each measured once.

    With `largest` the largest that fits is proposed, known to a sixteenth; otherwise the smallest that is as fast as
    any, within 5%: the same time for an epoch, in more updates. `expected` are the bytes that a size will take, as far
    as they are known: beyond the limit it is not even tried, so that a machine never swaps.

    Raises ConfigError where not one record fits.
    """
    tried: dict[int, Tried] = {}

    def attempt(size: int) -> bool:
        need = max(expected(size), 0 if largest else scaled(size, tried))
        tried[size] = Tried(size, False, need, None) if need > limit else measure(size)
        return tried[size].fits

    size = min(FIRST, most)
    while attempt(size) and size < most and (largest or rising(list(tried.values()))):
        size = min(2 * size, most)
    too_large = min((t.size for t in tried.values() if not t.fits), default=None)
    if too_large is not None:
        while (middle := between(max((t.size for t in tried.values() if t.fits), default=0), too_large)) is not None:
            if not attempt(middle):
                too_large = middle
    fitting = [tried[size] for size in sorted(tried) if tried[size].fits]
    if not fitting:
        needs = size_in_bytes(tried[1].memory_bytes) if tried[1].memory_bytes else "more"
        raise ConfigError(
            f"At least one record at a time must fit. One needs {needs}, and {size_in_bytes(limit)} may be taken. "
            "Choose a smaller network (--model) or smaller inputs (--image.size)."
        )
    chosen, reason = choose(fitting, most, largest=largest)
    return BatchSizes(tuple(tried[size] for size in sorted(tried)), limit, chosen, reason)


def scaled(size: int, tried: dict[int, Tried]) -> int:
    """What the largest trained so far took, in proportion: too much rather than too little."""
    last = max((t for t in tried.values() if t.fits), key=lambda t: t.size, default=None)
    return 0 if last is None else last.memory_bytes * size // last.size


def rising(tried: Sequence[Tried]) -> bool:
    """Whether one of the last two doublings was faster than all before."""
    speeds = [t.samples_per_second or 0.0 for t in tried]
    earlier = speeds[:-STALE]
    return not earlier or max(speeds[-STALE:]) > (1 + SAME) * max(earlier)


def between(fits: int, too_large: int) -> int | None:
    """The next size to try, in whole blocks where there is room; None where the largest is known well enough.

    >>> between(64, 128), between(120, 128), between(0, 8), between(0, 1)
    (96, None, 4, None)
    """
    if too_large - fits <= max(ROUND if fits >= ROUND * ROUND else 1, fits // FINE):
        return None
    middle = (fits + too_large) // 2
    rounded = middle - middle % ROUND
    return rounded if rounded > fits else middle


def choose(fitting: Sequence[Tried], most: int, *, largest: bool) -> tuple[Tried, str]:
    """The size that is proposed of those that fit, and why."""
    if largest:
        chosen = fitting[-1]
        return chosen, "all training records" if chosen.size == most else "the largest that fits"
    top = max(t.samples_per_second or 0.0 for t in fitting)
    chosen = next(t for t in fitting if (t.samples_per_second or 0.0) >= (1 - SAME) * top)
    return chosen, f"the smallest within {SAME:.0%} of the fastest"
