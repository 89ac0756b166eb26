"""The clock of a run that has a budget of time: it says when the number of steps must change, and to what."""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low

import psutil

from neocog.training.state import State

__all__ = ["Clock", "process_seconds"]

TARGET = 0.95  # share of the time for training at which it shall end
TOLERANCE = 0.03  # of the budget, by which the end may miss its target before the plan changes
WINDOW = 0.02  # of the budget: between two looks, and over which the time of steps is averaged
SLOWEST = 3.0  # times the expected time of a step, to which the reserve grows at most
WINDOWS = 5  # averages that count; older ones are forgotten, since machines get busy and idle again


@dataclass(kw_only=True, slots=True)
class Clock:
    """Keeps a run within its budget: seconds from the start of the process to the end of what follows training.

    Steps and validations are timed as they come; time that a stopped run did not run does not count. The loop calls
    `tick` after each step and `validated` after each validation, and asks for a new `plan` when one is `due`.
    """

    budget: float
    """Seconds for the whole run."""
    began: float
    """When the process, or the call, began, by `now`."""
    reserve: float = 0.0
    """Seconds for what follows training, apart from scoring the test split."""
    test_share: float = 0.0
    """Time of scoring the test split, in scorings of the validation split."""
    test_steps: float | None = None
    """The same in steps, at most; None: unknown."""
    step_seconds: float | None = None
    """Expected time of a step, until steps are measured; None: unknown."""
    validation_seconds: float = 0.0
    """Expected time of a validation with its checkpoint; measured ones replace it."""
    extend: bool = True
    """Whether a run may get longer than it was planned."""
    most_steps: int | None = None
    """Steps that are enough, however much time there is."""
    used: float = 0.0
    """Seconds that the run used before it was resumed."""
    earliest: float = 0.0
    """The elapsed seconds before which training does not end, apart from a validation, so that it has some time however
    late it begins; 0: it ends in time."""
    now: Callable[[], float] = time.monotonic
    looked: float = field(default=float("-inf"), init=False)
    mark: float | None = field(default=None, init=False)
    """When the current window of steps began; the first step of all, which is slower, is in none."""
    num_steps: float = field(default=0.0, init=False)
    """Steps of the current window, each by its work."""
    windows: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=WINDOWS), init=False)
    validations: deque[tuple[float, float]] = field(default_factory=deque, init=False)
    """When each recent validation ended, and its seconds."""
    scorings: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOWS), init=False)

    @property
    def elapsed(self) -> float:
        """Seconds of the budget that are used."""
        return self.used + self.now() - self.began

    @property
    def target(self) -> float:
        """The elapsed seconds at which training shall end: in time, but not before `earliest`."""
        return max(self.earliest + self.validation_seconds if self.earliest else 0.0, self.in_time)

    @property
    def in_time(self) -> float:
        """The elapsed seconds at which training has to end if all is to end within the budget.

        If steps take longer than expected, because the machine is busy, so does what follows.
        """
        seconds = self.seconds_per_step()
        slower = seconds / self.step_seconds if seconds and self.step_seconds else 1.0
        reserve = self.reserve * min(max(slower, 1.0), SLOWEST)
        return TARGET * (self.budget - reserve - self.test_seconds)

    @property
    def test_seconds(self) -> float:
        """Seconds to score the test split: by scorings of the validation split, or by steps if that is less.

        A few validation samples take longer each than those of a full batch.
        """
        seconds, step = self.test_share * self.scoring_seconds, self.seconds_per_step()
        return seconds if self.test_steps is None or step is None else min(seconds, self.test_steps * step)

    @property
    def scoring_seconds(self) -> float:
        """Seconds to score the validation split, without a checkpoint.

        The lower median of the last few: of few samples they are short, and the test split may be hundreds of times as
        large, so one that happened to be interrupted must not end the run.
        """
        return median_low(self.scorings) if self.scorings else self.validation_seconds

    def tick(self, work: float = 1.0) -> None:
        """A step has ended, which had this share of the work of a whole one, as with smaller images."""
        now = self.now()
        if self.mark is None:
            self.mark = now
            return
        self.num_steps += work
        if now - self.mark >= WINDOW * self.budget:
            self.windows.append((self.num_steps, now - self.mark))
            self.mark, self.num_steps = now, 0.0

    def validated(self, seconds: float, scoring: float | None = None) -> None:
        """A validation, with all that comes between two epochs, took this long; scoring the samples alone, `scoring`.

        As with steps, the mean over a share of the budget counts, or of the last two if they took longer.
        """
        now = self.now()
        self.scorings.append(seconds if scoring is None else scoring)
        self.validations.append((now, seconds))
        while len(self.validations) > 2 and now - self.validations[0][0] > WINDOWS * WINDOW * self.budget:
            self.validations.popleft()
        self.validation_seconds = sum(one for _, one in self.validations) / len(self.validations)
        if self.mark is not None:
            self.mark += seconds

    def seconds_per_step(self) -> float | None:
        """The mean over the recent steps, as if each was a whole one; before the second step the estimate."""
        windows = list(self.windows)
        if self.num_steps and self.mark is not None:
            windows.append((self.num_steps, self.now() - self.mark))
        steps = sum(count for count, _ in windows)
        return max(1e-9, sum(seconds for _, seconds in windows) / steps) if steps else self.step_seconds

    def due(self) -> bool:
        """Whether it is time for another look at the plan."""
        return self.now() - self.looked >= WINDOW * self.budget

    def plan(self, state: State, planned: int, epoch_steps: int, mean_work: float = 1.0) -> int | None:
        """The total number of steps that ends training in time; None: it stays.

        `planned` are the steps that the run was planned with, `epoch_steps` those of a whole epoch; the steps to come
        have `mean_work` of the work of a whole one. At least one more step is left, so that a step is known to be the
        last before it is taken; none after a whole epoch.
        """
        self.looked = self.now()
        total, seconds = state.num_steps(planned), self.seconds_per_step()
        left = self.target - self.elapsed
        if state.step >= total or (seconds is None and left > 0):
            return None
        seconds = mean_work * (seconds or 0.0)  # unknown, with the budget used up
        if abs(self.cost(state, total, seconds, epoch_steps) - left) <= TOLERANCE * self.budget:
            return None
        wanted = self.fit_steps(state, left, seconds, epoch_steps)
        if not self.extend:
            wanted = min(wanted, total)
        if self.most_steps is not None:
            wanted = min(wanted, max(self.most_steps, state.step))
        return wanted if wanted != total else None

    def cost(self, state: State, total: int, seconds: float, epoch_steps: int) -> float:
        """Seconds until the end of a run of `total` steps, with the validation of each epoch."""
        validations = -(-total // epoch_steps) - len(state.history)
        return (total - state.step) * seconds + validations * self.validation_seconds

    def fit_steps(self, state: State, left: float, seconds: float, epoch_steps: int) -> int:
        """The largest total that fits into the seconds that are left, or the smallest that is possible."""
        step = state.step
        fewest = step if step and step % epoch_steps == 0 else step + 1
        low, high = fewest, fewest + (1 + int(left / seconds) if left > 0 else 1)
        while high - low > 1:  # the cost rises with the total; `high` does not fit
            middle = (low + high) // 2
            if self.cost(state, middle, seconds, epoch_steps) <= left:
                low = middle
            else:
                high = middle
        tail = low % epoch_steps
        whole = low - tail
        # A few steps are not worth a validation of their own.
        return whole if whole >= max(fewest, 1) and tail * seconds < self.validation_seconds else low


def process_seconds(root: Path = Path("/")) -> float:
    """Seconds since this process was started, as the operating system knows.

    Linux counts the ticks from the boot of the machine to the start of a process: field 22 of /proc/self/stat, see
    proc(5). Elsewhere it is the wall clock's difference.

    >>> process_seconds() > 0
    True
    """
    try:
        after_name = (root / "proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        ticks = int(after_name.split()[19])
        since_boot: float = time.clock_gettime(time.CLOCK_BOOTTIME)
        return max(0.0, since_boot - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError, IndexError, ValueError):
        return max(0.0, time.time() - float(psutil.Process().create_time()))
