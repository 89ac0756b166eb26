"""One trial of the race: a candidate trained for a few seconds, or its frozen features under a linear head."""

import math
import time
from dataclasses import replace
from statistics import fmean

import numpy as np

from neocog.auto.candidate import Candidate, with_candidate
from neocog.auto.compare import Trial
from neocog.bundle import Predictor, torch_backend
from neocog.data import Opened
from neocog.errors import ConfigError, NeocogError, StorageError
from neocog.evaluation.intervals import wilson
from neocog.files import write_whole
from neocog.progress import quiet
from neocog.runs import ResolvedConfig, Run
from neocog.runs.config import read_run_config
from neocog.runs.prepare import Prepared, prepare
from neocog.runs.seal_model import seal_model
from neocog.runs.train_run import train_network
from neocog.tasks import Task
from neocog.training import Training
from neocog.training.distributed import World, broadcast_json

__all__ = ["failed", "interval_of", "run_trial", "seal_so_far"]

PREPARING, TRAINING = 1.5, 0.4
"""Times the seconds of a trial, that preparation may take at most, and training takes at least."""
LEAST_SCORED = 300
"""Validation samples of a trial, if training can spare them: the 95% interval of a share is then at most 11 points. On
a few samples, candidates can't be told apart."""
LATE = 0.8
"""Of a trial's seconds, from which validations count."""


def run_trial(
    candidate: Candidate,
    place: int,
    rung: int,
    seconds: float,
    *,
    base: ResolvedConfig,
    opened: Opened,
    world: World,
    folder: Run,
    scored: int,
) -> tuple[Trial, tuple[Prepared, Training] | None]:
    """Train a candidate for about this many seconds, preparation included, in a run folder of its own.

    A candidate that does not fit the data, or whose loss diverges, has a trial with an `error`, rather than ending the
    race. A trial that was killed resumes from its last checkpoint.
    """
    begin = time.monotonic()
    begins = not broadcast_json(folder.last.is_file(), world)
    try:
        with quiet():
            resolved = settings_of(candidate, base, seconds) if begins else read_run_config(folder.config)
            prepared = prepare(resolved, world, data=opened, scored=scored, least_scored=LEAST_SCORED, begins=begins)
            if begins:
                prepared = give_time(prepared, begin, seconds, world)
            if begins and world.first:
                folder.last.parent.mkdir(parents=True, exist_ok=True)
                write_whole(folder.config, prepared.resolved.to_yaml())
            prepared, training = train_network(folder, prepared, world, began=begin, is_trial=True)
    except StorageError:
        raise
    except NeocogError as error:
        return failed(candidate, place, rung, time.monotonic() - begin, error), None
    return describe_trial(candidate, place, rung, prepared, training, time.monotonic() - begin), (prepared, training)


def settings_of(candidate: Candidate, base: ResolvedConfig, seconds: float) -> ResolvedConfig:
    """The settings of a trial that begins; it keeps them, with the number of epochs that the clock gives it."""
    reason = f"candidate {candidate.name}"
    resolved = with_candidate(base, candidate, reason)
    return resolved.choose({"train.minutes": (seconds / 60, reason), "train.search": (None, reason)})


def give_time(prepared: Prepared, begin: float, seconds: float, world: World) -> Prepared:
    """The trial with some time for training, if preparation has taken nearly all of its seconds.

    Raises ConfigError, in all processes, if it has taken much more.
    """
    spent = broadcast_json(time.monotonic() - begin, world)
    if spent > PREPARING * seconds:
        raise ConfigError(
            "There was no time for a trial.", received=f"{spent:.1f} of {seconds:.1f} s for preparation",
            fix="Give it more --minutes.",
        )  # fmt: skip
    needed = spent + TRAINING * seconds
    if needed <= seconds:
        return prepared
    longer = {"train.minutes": (needed / 60, f"preparation took {spent:.1f} s")}
    return replace(prepared, resolved=prepared.resolved.choose(longer))


def describe_trial(
    candidate: Candidate, place: int, rung: int, prepared: Prepared, training: Training, total: float
) -> Trial:
    """The result of a finished trial, that of its last validations, whose mean errs less than the best of many.

    With a fitted head, that of the network before training if it is better, since such a run keeps it.
    """
    state, task = training.state, prepared.task
    rows = [*([{"seconds": 0.0, **state.start}] if state.start else []), *state.history]
    values = [value_of(row, task) for row in rows]
    ends = np.cumsum([row["seconds"] for row in rows]).tolist()
    late = [value for end, value in zip(ends, values, strict=True) if end >= LATE * ends[-1]]
    value = max(fmean(late), values[0] if state.start else -math.inf)
    low, high = interval_of(value, len(prepared.val), task)
    seen = state.step * prepared.resolved.config.train.batch_size
    return Trial(
        name=candidate.name, candidate=place, rung=rung, seconds=ends[-1], total_seconds=total, value=value,
        low=low, high=high, samples=min(len(prepared.train), seen), scored=len(prepared.val), by="validation data",
        history=list(zip(ends, values, strict=True)),
        trained=state.history[-1][f"train_{task.progress_metric}"], passes=seen / len(prepared.train),
    )  # fmt: skip


def seal_so_far(run: Run, prepared: Prepared, training: Training, trial: Trial) -> None:
    """Write the network of a trial as `model.neocog` of the whole run, for whoever stops the search."""
    with quiet():
        model = training.result.cpu()
        predictor = Predictor(torch_backend(model), prepared.preprocess, prepared.task, model=model)
        figures = {"split": "validation", prepared.task.criterion.metric: abs(trial.value)}
        about = {"evaluation": figures, "unfinished": f"{trial.name}, a trial of {trial.total_seconds:.0f} s"}
        seal_model(run, prepared, model, predictor, prepared.splits.val, about)


def value_of(row: dict[str, float], task: Task) -> float:
    """The figure of an epoch by which trials are compared; higher is better."""
    value = row[f"val_{task.criterion.metric}"]
    return value if task.criterion.mode == "max" else -value


def interval_of(value: float, num: int, task: Task) -> tuple[float, float]:
    """The 95% interval of a share of `num` samples; of another metric, whose spread is unknown, the value itself."""
    if not (task.progress_percent and task.criterion.metric == task.progress_metric):
        return value, value
    found = wilson(round(value * num), num)
    return found.low, found.high


def failed(candidate: Candidate, place: int, rung: int, seconds: float, error: NeocogError) -> Trial:
    """A trial without a result; its figures are zero, since JSON has no infinity."""
    return Trial(
        name=candidate.name, candidate=place, rung=rung, seconds=0.0, total_seconds=seconds, value=0.0, low=0.0,
        high=0.0, samples=0, scored=0, by="nothing", history=(), error=str(error),
    )  # fmt: skip
