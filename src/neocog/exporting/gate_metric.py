"""The metric of an exported network beside that of its bundle, on the same samples, and how often both answer alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.dataset.record import Record
from neocog.evaluation import Estimate, without_intervals
from neocog.evaluation.paired import mcnemar, paired_bootstrap
from neocog.exporting.gate_outputs import Arrays, Differences
from neocog.tasks import DenseTask, Regression, Task

__all__ = ["Scores", "agreement", "evaluated", "metric_difference", "metric_scale"]

NEAR = 1e-2  # of the spread of an output, within which two numbers are the same answer


@dataclass(slots=True)
class Scores:
    """The outputs of one network for many samples, as `Task.evaluate` takes them."""

    task: Task
    rows: list[Any] = field(default_factory=list)

    def add(self, outputs: Arrays, records: Sequence[Record]) -> None:
        """Keep the outputs of a batch: logits, or for a dense task the comparison with its targets."""
        if not isinstance(self.task, DenseTask):
            self.rows += list(outputs["logits"])
            return
        predictions = self.task.predictions_of(outputs, [record.key for record in records])
        self.rows += [self.task.compare(*pair) for pair in zip(predictions, records, strict=True)]

    @property
    def scored(self) -> Any:
        return self.rows if self.task.dense else np.stack(self.rows)


def evaluated(task: Task, scores: Scores, targets: NDArray[Any], keys: Sequence[str]) -> dict[str, Estimate]:
    """All metrics without intervals, the headline first."""
    with without_intervals():
        return task.evaluate(scores.scored, targets, keys, data="", split="").metrics


def metric_difference(
    task: Task, before: Scores, after: Scores, targets: NDArray[Any], keys: Sequence[str], *, is_share: bool
) -> Estimate:
    """The headline metric of `after` minus that of `before`, with the interval of the pairs."""
    if task.by_class:
        right = [task.sample_scores(each.scored, targets, keys) > 0.5 for each in (before, after)]
        return mcnemar(*right).difference
    one, two = (task.statistic(each.scored, targets, keys) for each in (before, after))
    once = np.ones(len(keys))
    if one(once) == two(once) and np.array_equal(weighted(one, len(keys)), weighted(two, len(keys)), equal_nan=True):
        return Estimate(0.0, 0.0, 0.0, "none: the same for any choice of samples", is_share)
    return paired_bootstrap(one, two, len(keys), is_share=is_share)


def weighted(statistic: Any, num: int) -> NDArray[np.float64]:
    """A metric for a few choices of samples, by which two networks with the same answers are told from others."""
    choices = np.random.default_rng(0).integers(0, 3, (5, num)).astype(np.float64)
    return np.array([statistic(counts) for counts in choices])


def metric_scale(task: Task) -> float:
    """The value of 100 points of the headline metric: 1 for a share, and for errors the deviation of the targets."""
    return float(task.std.double().mean()) if isinstance(task, Regression) else 1.0


def agreement(task: Task, before: Scores, after: Scores, differences: Differences) -> float:
    """The share of samples with the same answer.

    Numbers agree within 1% of their spread; of masks it is the share of equal pixels, of boxes that of the scores whose
    boxes have a partner.
    """
    if task.dense:
        name, apart = next(iter(differences.apart.items()))
        whole = differences.places.get(name, 0) or differences.whole[name]
        return 1 - apart / whole if whole else 1.0
    a, b = (torch.from_numpy(each.scored) for each in (before, after))
    if isinstance(task, Regression):
        gaps = (task.decode(a) - task.decode(b)).abs() / task.std.double()
        return float((gaps <= NEAR).all(dim=1).double().mean())
    names = [""] * len(a)
    column = task.columns[0]
    pairs = zip(task.predictions(names, a, 1), task.predictions(names, b, 1), strict=True)
    return float(np.mean([x.to_json()[column] == y.to_json()[column] for x, y in pairs]))
