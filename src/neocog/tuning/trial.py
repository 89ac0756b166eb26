"""One trial of a study: some values, trained in a run folder of its own, on validation data only."""

import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from neocog.errors import NeocogError, StorageError
from neocog.files import write_whole
from neocog.progress import quiet
from neocog.runs import ResolvedConfig, Run
from neocog.runs.config import read_run_config
from neocog.runs.prepare import Prepared, prepare
from neocog.runs.session import session
from neocog.runs.train_run import train_network
from neocog.tasks import Task
from neocog.training import Training
from neocog.training.distributed import World
from neocog.tuning.limits import Limits, Measured, measure, reject
from neocog.tuning.ranges import apply

__all__ = ["Ends", "Outcome", "TunedTrial", "run_trial"]

Outcome = Literal["complete", "pruned", "stopped", "rejected", "failed"]
"""stopped: the time of the study was up. rejected: the network exceeds a limit. failed: it ended with an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TunedTrial:
    """A finished trial."""

    number: int
    params: Mapping[str, Any]
    """Values by dotted key."""
    outcome: Outcome
    value: float | None = None
    """The metric on validation data after the best epoch; None without any epoch."""
    history: Sequence[float] = field(default=())
    """The metric on validation data after each epoch."""
    best_epoch: int = 0
    """Counted from one; 0 without any epoch."""
    seconds: float = 0.0
    """Of training."""
    size: int | None = None
    """Bytes of the network."""
    latency: float | None = None
    """Seconds for one sample, if it is limited."""
    error: str = ""
    """Why there is no result, or less than a whole one."""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "history": list(self.history), "params": dict(self.params)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        return cls(**{**found, "history": tuple(found["history"])})


class Ends(Protocol):
    """Says when a trial ends before its last epoch."""

    def end_of(self, history: Sequence[float]) -> int | None:
        """The number of epochs after which it ends; None if it does not."""
        ...


def run_trial(
    number: int,
    params: Mapping[str, Any],
    folder: Path,
    *,
    base: ResolvedConfig,
    data: object,
    limits: Limits,
    pruner: Ends,
    is_late: Callable[[float, int], bool],
) -> TunedTrial:
    """Train with these values, from the last checkpoint if there is one, and describe what came of it.

    Training ends early as `pruner` says, or if `is_late`, called after each epoch with the seconds and the number of
    epochs so far, returns True.
    Values that don't fit together or the data, and a loss that diverges, give a failed trial. Raises StorageError, and
    Interrupted on Ctrl-C.
    """
    run, size, latency = Run(folder), None, None
    begin = time.monotonic()
    try:
        with quiet():
            begins = not run.config.is_file()
            resolved = apply(base, params, f"trial {number}") if begins else read_run_config(run.config)
            with session(resolved.config) as world:
                prepared = prepare(resolved, world, data=data, scored=sys.maxsize, begins=not run.last.is_file())
                with closing(prepared):
                    kept = folder / "measured.json"  # a latency is measured once, however often the trial is stopped
                    if begins:
                        found = measure(prepared, limits)
                        folder.mkdir(parents=True, exist_ok=True)
                        write_whole(kept, json.dumps(asdict(found)))
                    else:
                        found = Measured(**json.loads(kept.read_text()))
                    size, latency = found.size, found.latency
                    if begins and (reason := reject(found, limits)):
                        return TunedTrial(
                            number=number, params=params, outcome="rejected", size=size, latency=latency, error=reason
                        )  # fmt: skip
                    if begins:
                        run.last.parent.mkdir(parents=True, exist_ok=True)
                        write_whole(run.config, prepared.resolved.to_yaml())
                    return train_trial(number, params, run, prepared, pruner, is_late, begin, size, latency)
    except StorageError:
        raise
    except NeocogError as error:
        return TunedTrial(number=number, params=params, outcome="failed", size=size, latency=latency, error=str(error))


def train_trial(
    number: int, params: Mapping[str, Any], run: Run, prepared: Prepared, pruner: Ends,
    is_late: Callable[[float, int], bool], begin: float, size: int, latency: float | None,
) -> TunedTrial:  # fmt: skip
    """Train the prepared network; the result follows from its history alone, however often it was stopped."""
    task, late = prepared.task, False
    epochs = prepared.resolved.config.train.epochs

    def after_epoch(training: Training) -> bool:
        nonlocal late
        values = values_of(training, task)
        if len(values) < epochs and pruner.end_of(values) is not None:
            return True
        late = len(values) < epochs and is_late(seconds_of(training, len(values)), len(values))
        return late

    world = World(device=prepared.device)
    _, training = train_network(run, prepared, world, began=begin, is_trial=True, after_epoch=after_epoch)
    values = values_of(training, task)
    end = pruner.end_of(values[: epochs - 1])
    outcome: Outcome = "complete" if end is None else "pruned"
    if end is None and late:
        outcome = "stopped"
    history = values[:end]
    best = best_of(history, task, prepared.resolved.config.train.monitor == "last")
    reason = {"pruned": f"after {len(history)} of {epochs} epochs", "stopped": "the time was up"}.get(outcome, "")
    return TunedTrial(
        number=number, params=params, outcome=outcome, value=history[best], history=history, best_epoch=best + 1,
        seconds=seconds_of(training, len(history)), size=size, latency=latency, error=reason,
    )  # fmt: skip


def values_of(training: Training, task: Task) -> tuple[float, ...]:
    """The metric that chooses checkpoints, on validation data after each epoch."""
    return tuple(float(row[f"val_{task.criterion.metric}"]) for row in training.state.history)


def seconds_of(training: Training, epochs: int) -> float:
    return float(sum(row["seconds"] for row in training.state.history[:epochs]))


def best_of(history: Sequence[float], task: Task, last: bool) -> int:
    """The place of the best epoch; the last one if that is what a run keeps."""
    if last:
        return len(history) - 1
    sign = -1 if task.criterion.mode == "min" else 1
    return max(range(len(history)), key=lambda i: (-math.inf if math.isnan(history[i]) else sign * history[i], -i))
