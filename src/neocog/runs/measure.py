"""The evaluation of logits on records of a source."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.dataset.record import Source
from neocog.evaluation import Evaluation
from neocog.tasks import Task

__all__ = ["evaluate_records", "progress_text"]


def evaluate_records(
    task: Task,
    logits: Any,
    targets: NDArray[Any],
    source: Source,
    indices: NDArray[np.int64],
    split: str,
) -> Evaluation:
    """All metrics of the logits (N, K) of these records, or of what a dense task keeps of them.

    `targets` are in the order of the task's outputs.
    """
    keys = [source.key(index) for index in indices.tolist()]
    return task.evaluate(logits, targets, keys, data=source.name, split=split)


def progress_text(task: Task, logits: NDArray[np.float32], targets: NDArray[Any]) -> tuple[float, str]:
    """The progress metric of these logits (N, K), such as accuracy, and how it is shown."""
    value = task.validation(torch.from_numpy(logits), task.encode(targets))[task.progress_metric]
    return value, f"{value:.2%}" if task.progress_percent else f"{value:.4f}"
