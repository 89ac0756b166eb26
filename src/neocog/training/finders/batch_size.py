"""The batch-size finder: sizes are doubled, then bisected, until the largest that fits or the fastest is known."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from neocog.errors import ConfigError
from neocog.planning import Machine, forecast, plan, size_in_bytes
from neocog.progress import Bar
from neocog.tasks import Task
from neocog.training.finders.memory import Memory, memory_of
from neocog.training.finders.trial import Batches, Trial, TrialSettings, own_randomness
from neocog.training.step import NotFiniteError

__all__ = ["BatchSizeSearch", "SizeTrial", "find_batch_size", "search_sizes"]

FIRST = 8
ROUND = 8  # kernels work in blocks of this many samples
FINE = 16  # the largest size is known to a sixteenth, or to a block
SAME = 0.05  # of the speed: smaller differences don't count
STALE = 2  # doublings without a gain after which larger batches are no faster


@dataclass(frozen=True, slots=True)
class SizeTrial:
    """One batch size, with its memory and speed."""

    size: int
    fits: bool
    memory_bytes: int
    """The peak beyond what was in use before; the forecast if it was not trained, 0 if that is unknown."""
    samples_per_second: float | None
    """None if the trial did not finish."""

    def __str__(self) -> str:
        if self.samples_per_second is not None:
            return f"{self.size:,}: {self.samples_per_second:,.0f}/s in {size_in_bytes(self.memory_bytes)}"
        needs = f" ({size_in_bytes(self.memory_bytes)})" if self.memory_bytes else ""
        return f"{self.size:,}: does not fit{needs}"


@dataclass(frozen=True, slots=True)
class BatchSizeSearch:
    """The sizes that were tried, ascending, and the proposed one."""

    tried: tuple[SizeTrial, ...]
    limit_bytes: int
    """Memory that a batch may take."""
    proposed: SizeTrial
    reason: str

    @property
    def size(self) -> int:
        return self.proposed.size

    def __str__(self) -> str:
        figures = "; ".join(str(tried) for tried in self.tried)
        return f"batch size {self.size:,}, {self.reason}; {size_in_bytes(self.limit_bytes)} available. {figures}"

    def to_json(self) -> dict[str, Any]:
        return {"size": self.size, "reason": self.reason, **asdict(self)}


def search_sizes(
    measure: Callable[[int], SizeTrial],
    *,
    most: int,
    limit: int,
    largest: bool,
    expected: Callable[[int], int] = lambda size: 0,
) -> BatchSizeSearch:
    """Try sizes of at most `most` samples, each measured once.

    With `largest` it proposes the largest that fits, to a sixteenth; otherwise the smallest that is as fast as any,
    within 5%: the same time for an epoch, in more updates. `expected` gives the bytes that a size will take, if known:
    a size beyond the limit is not even tried, so that the machine never swaps.

    Raises ConfigError if not even one sample fits.
    """
    tried: dict[int, SizeTrial] = {}

    def attempt(size: int) -> bool:
        need = max(expected(size), 0 if largest else scaled(size, tried))
        tried[size] = SizeTrial(size, False, need, None) if need > limit else measure(size)
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
            "At least one sample must fit into memory.",
            received=f"one that needs {needs}, with {size_in_bytes(limit)} available",
            fix="Choose a smaller network (--model) or smaller inputs (--data.size).",
        )
    chosen, reason = choose(fitting, most, largest=largest)
    return BatchSizeSearch(tuple(tried[size] for size in sorted(tried)), limit, chosen, reason)


def scaled(size: int, tried: dict[int, SizeTrial]) -> int:
    """A forecast from the largest size trained so far, in proportion: rather too high than too low."""
    last = max((t for t in tried.values() if t.fits), key=lambda t: t.size, default=None)
    return 0 if last is None else last.memory_bytes * size // last.size


def rising(tried: Sequence[SizeTrial]) -> bool:
    """Whether one of the last two doublings was faster than all before."""
    speeds = [t.samples_per_second or 0.0 for t in tried]
    earlier = speeds[:-STALE]
    return not earlier or max(speeds[-STALE:]) > (1 + SAME) * max(earlier)


def between(fits: int, too_large: int) -> int | None:
    """The next size to try, in whole blocks if possible; None once the largest is known well enough.

    >>> between(64, 128), between(120, 128), between(0, 8), between(0, 1)
    (96, None, 4, None)
    """
    if too_large - fits <= max(ROUND if fits >= ROUND * ROUND else 1, fits // FINE):
        return None
    middle = (fits + too_large) // 2
    rounded = middle - middle % ROUND
    return rounded if rounded > fits else middle


def choose(fitting: Sequence[SizeTrial], most: int, *, largest: bool) -> tuple[SizeTrial, str]:
    """The proposed size among those that fit, and why."""
    if largest:
        chosen = fitting[-1]
        return chosen, "all training samples" if chosen.size == most else "the largest that fits"
    top = max(t.samples_per_second or 0.0 for t in fitting)
    chosen = next(t for t in fitting if (t.samples_per_second or 0.0) >= (1 - SAME) * top)
    return chosen, f"the smallest within {SAME:.0%} of the fastest"


SECONDS = 0.5  # of training, at least, for each size
STATES = 2  # of an optimiser for each weight, at most
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
UNTIMED = Machine(device="cpu", name="", flops={"fp32": math.inf}, bytes_per_second=math.inf, seconds_per_call=0.0)


def find_batch_size(
    model: nn.Module,
    batches_of: Callable[[int], Batches],
    task: Task,
    settings: TrialSettings,
    *,
    most: int,
    shape: tuple[int, ...],
    dtype: torch.dtype | None = None,
    memory: Memory | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> BatchSizeSearch:
    """Propose a batch size for the device on which the network is.

    On a GPU it is the largest that fits, tried until memory runs out. On a CPU, where a machine out of memory swaps or
    kills, it is the fastest, and a size is tried only if the plan's forecast and the memory of smaller sizes leave
    room. `batches_of` gives the run's batches of a size, `most` is the number of training samples, `shape` and `dtype`
    are those of one input. The network and torch's generators are left as they are.

    Raises ConfigError if not even one sample fits.
    """
    device = next(model.parameters()).device
    memory = memory or memory_of(device)
    on_gpu = device.type == "cuda"
    ema_decay = settings.train.ema_decay
    states = STATES + bool(ema_decay)
    planned = None if on_gpu else plan(model, shape, dtype=dtype)

    def expected(size: int) -> int:
        """The plan's forecast; the copy that is trained has its own weights."""
        if planned is None:
            return 0
        return forecast(planned, UNTIMED, batch_size=size, optimizer_states=states, available=0).training_bytes

    with own_randomness(model), Bar("batch sizes", most) as bar:

        def measure(size: int) -> SizeTrial:
            bar.draw(size, f"{size:,} at once")
            memory.begin()
            trial = Trial(model, task, settings, ema_decay=ema_decay)
            speed = speed_of(trial, batches_of(size), clock)
            took = memory.peak() if speed is not None else 0
            return SizeTrial(size, speed is not None and took <= memory.limit, took, speed)

        try:
            return search_sizes(measure, most=most, limit=memory.limit, largest=on_gpu, expected=expected)
        finally:
            memory.clear()


def speed_of(trial: Trial, batches: Batches, clock: Callable[[], float]) -> float | None:
    """Samples per second, data loading and training together; None if memory ran out."""
    try:
        return time_training(trial, batches, clock)
    except (torch.OutOfMemoryError, MemoryError):
        return None
    except RuntimeError as error:
        if any(text in str(error) for text in OUT_OF_MEMORY):
            return None
        raise


def time_training(trial: Trial, batches: Batches, clock: Callable[[], float]) -> float:
    """Samples per second over whole blocks of batches, which a loader makes at once, after a first step."""
    train_on(trial, batches, 0, 0)  # this step creates the state of optimiser and kernels
    block = getattr(batches, "steps_per_block", 1)
    num_samples, step, begin = 0, 0, clock()
    while True:
        epoch, place = divmod(step, batches.num_steps)
        num_samples += train_on(trial, batches, epoch + 1, place)
        step += 1
        whole = step % batches.num_steps % block == 0
        if whole and step > 1 and (seconds := clock() - begin) >= SECONDS:
            return num_samples / seconds


def train_on(trial: Trial, batches: Batches, epoch: int, step: int) -> int:
    """One step; returns the number of samples once the device has finished."""
    batch = batches.batch(epoch, step)
    with suppress(NotFiniteError):  # only time and memory are measured
        trial.gradients(batch)
    trial.update()
    if trial.device.type == "cuda":
        torch.cuda.synchronize(trial.device)
    return len(batch[1])
