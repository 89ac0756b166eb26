"""The history of a run: a row for each epoch, and whether it is the best so far."""

import math

from neocog.tasks import Task
from neocog.training.config import TrainConfig
from neocog.training.state import State

__all__ = ["finish_epoch"]


def finish_epoch(state: State, metrics: dict[str, float], task: Task, config: TrainConfig, rate: float) -> bool:
    """Add the epoch's row to the history; returns whether it is the best so far."""
    row: dict[str, float] = {
        "epoch": len(state.history) + 1,
        "lr": rate,
        "train_loss": state.loss_sum / state.num_seen,
        f"train_{task.progress_metric}": state.progress_sum / state.num_seen,
        **{f"val_{name}": value for name, value in metrics.items()},
        "seconds": state.seconds,
        "samples_per_second": state.num_seen / state.seconds,
    }
    figure = score(row, task, config)
    before = [*state.history, *([{"epoch": 0, **state.start}] if state.start else [])]
    best = max((score(old, task, config) for old in before), default=-math.inf)
    if state.reference is None or figure > state.reference + config.min_delta:
        state.reference, state.stale = figure, 0
    else:
        state.stale += 1
    state.stopped_early = bool(config.patience) and state.stale >= config.patience
    state.history.append(row)
    state.start_epoch()
    if figure > best:
        state.best_epoch = len(state.history) - 1
        return True
    return False


def score(row: dict[str, float], task: Task, config: TrainConfig) -> float:
    """The figure by which epochs are compared: higher is better."""
    if config.monitor == "last":
        return row["epoch"]
    if config.monitor == "loss":
        return -row["val_loss"]
    value = row[f"val_{task.criterion.metric}"]
    return value if task.criterion.mode == "max" else -value
