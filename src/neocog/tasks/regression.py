"""One or several numbers for each sample."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Source
from neocog.errors import DataError, some
from neocog.evaluation import Errors, Regressed, Statistic, evaluate_values, mean_known, write_values
from neocog.progress import note
from neocog.tasks.criterion import Criterion
from neocog.tasks.learned import read_numbers
from neocog.tasks.loss import LossConfig, LossKind
from neocog.tasks.target import Target, find_output
from neocog.tasks.task import Prediction, Task, register_task

__all__ = ["Regression", "ValuePrediction"]

COVERED = 0.9  # of the validation errors


@dataclass(frozen=True, slots=True)
class ValuePrediction(Prediction):
    """The values of one input, each with an error that 90% of the validation samples did not exceed."""

    values: tuple[tuple[str, float, float | None], ...]
    """Name, value and error of each output, in the unit of the targets; the error is None if it isn't known."""

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {name: value for name, value, _ in self.values}
        errors = {name: error for name, _, error in self.values if error is not None}
        return {**found, "error_90": errors} if errors else found

    def cells(self) -> dict[str, str]:
        return {
            name: f"{value:.4g}" + (f" ± {error:.2g}" if error is not None else "")
            for name, value, error in self.values
        }


@register_task
class Regression(Task):
    """Huber, absolute or squared error of targets that are standardised inside; values come in the targets' unit.

    A target is (D,) numbers, or NaN for one that isn't known: it is left out of the loss and the metrics. The classes
    of the source name the outputs, with their unit.
    """

    name = "regression"
    linear_head = "values"
    learns_decisions = True
    losses: ClassVar[tuple[LossKind, ...]] = ("huber", "l1", "l2")
    criterion = Criterion("MAE", "min")
    progress_metric = "MAE"

    def __init__(
        self,
        classes: tuple[str, ...],
        loss: LossConfig | None = None,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        error_90: Sequence[float | None] | None = None,
    ) -> None:
        super().__init__(classes)
        config = loss or LossConfig()
        self.kind, self.delta = config.kind or "huber", config.huber_delta or 1.0
        self.mean = torch.zeros(len(classes)) if mean is None else torch.tensor(mean)
        self.std = torch.ones(len(classes)) if std is None else torch.tensor(std)
        self.error_90 = error_90

    @classmethod
    def for_training(cls, classes: tuple[str, ...], loss: LossConfig, targets: Tensor) -> Self:
        """Mean and standard deviation are those of the known targets; 0 and 1 if there are none."""
        values = targets.double().cpu().numpy()
        errors = Errors(np.zeros_like(values), values)
        known = errors.known.sum(axis=0)
        mean = np.where(known > 0, np.nansum(values, axis=0) / np.maximum(known, 1), 0.0)
        return cls(classes, loss, mean=mean.tolist(), std=errors.spread().tolist())

    @classmethod
    def restore(cls, classes: tuple[str, ...], learned: Mapping[str, Any]) -> Self:
        count = len(classes)
        mean = read_numbers(learned, "mean", count)
        std = read_numbers(learned, "std", count, sign="positive")
        errors = None
        if "error_90" in learned:
            found = read_numbers(learned, "error_90", count, sign="not negative", optional=True)
            errors = [None if math.isnan(error) else error for error in found]
        return cls(classes, mean=mean, std=std, error_90=errors)

    @property
    def learned(self) -> dict[str, Any]:
        known = {} if self.error_90 is None else {"error_90": list(self.error_90)}
        return {"mean": self.mean.tolist(), "std": self.std.tolist(), **known}

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.classes

    def match_targets(self, source: Source, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Targets (N, D) by the names of the outputs; one that the source does not have is not known.

        A single output is matched whatever it is called. Raises DataError if the source has none of them.
        """
        values = source.targets[indices].reshape(len(indices), -1).astype(np.float64)
        there = [name for name in self.classes if name in source.classes]
        if len(self.classes) == len(source.classes) == 1:
            if not there:
                note(f"{source.classes[0]!r} of {source.name} is compared with the output {self.classes[0]!r}.")
            return values
        if not there:
            raise DataError(
                "A network can only be evaluated on the numbers that it predicts.",
                received=f"{some(source.classes, 10)} instead of {some(self.classes, 10)}",
                where=source.name,
                fix="Name the columns as in training: --data.label_column NAME,NAME.",
            )
        if len(there) < len(self.classes):
            absent = [name for name in self.classes if name not in there]
            note(f"{source.name} has no values of {some(absent)}, which are not measured.")
        found = np.full((len(indices), len(self.classes)), np.nan)
        for name in there:
            found[:, self.classes.index(name)] = values[:, source.classes.index(name)]
        return found

    @classmethod
    def encode(cls, targets: NDArray[Any]) -> Tensor:
        """(N,) or (N, D) -> (N, D) float32, in the unit of the targets."""
        values = torch.from_numpy(np.ascontiguousarray(targets, np.float32))
        return values[:, None] if values.ndim == 1 else values

    def standardised(self, targets: Tensor) -> Tensor:
        return (targets - self.mean.to(targets)) / self.std.to(targets)

    def find_target(self, outputs: Tensor, spec: str | int | None = None) -> Target:
        """A number that is predicted, by name or place; by default the first."""
        index = find_output(0 if spec is None else spec, self.classes)
        return Target(self.classes[index], index)

    def logits_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        known = ~targets.isnan()
        gaps = torch.where(known, logits - self.standardised(targets), torch.zeros_like(logits)).abs()
        if self.kind == "l2":
            losses = gaps**2
        elif self.kind == "l1":
            losses = gaps
        else:
            losses = torch.where(gaps < self.delta, gaps**2 / 2, self.delta * (gaps - self.delta / 2))
        return (losses.sum(dim=1) / known.sum(dim=1).clamp(min=1)).mean()

    def progress_sum(self, logits: Tensor, targets: Tensor) -> float:
        """The absolute error in the unit of the targets, a mean over the known outputs, summed over samples."""
        gaps = (self.decode(logits) - targets.double()).abs()
        known = ~gaps.isnan()
        return float((gaps.nan_to_num(0.0).sum(dim=1) / known.sum(dim=1).clamp(min=1)).sum())

    def validation(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        loss = self.logits_loss(logits.double(), targets.double())
        errors = Errors(self.decode(logits).cpu().numpy(), targets.double().cpu().numpy())
        return {"loss": loss.item(), "MAE": float(np.nan_to_num(mean_known(errors.mae(np.ones(len(targets))))))}

    def learn_decisions(self, logits: Tensor, targets: Tensor) -> None:
        """The error that 90% of the validation samples did not exceed, for each output; None for fewer than nine.

        An error of a new sample like them stays below it with a probability of at least 90%.
        Source: split conformal prediction, Lei et al. 2018, "Distribution-free predictive inference for regression".
        """
        gaps = (self.decode(logits) - targets.double()).abs().numpy()
        self.error_90 = [conformal_error(column[~np.isnan(column)]) for column in gaps.T]

    def decode(self, logits: Tensor) -> Tensor:
        """(N, D) standardised -> (N, D) in the unit of the targets."""
        return logits.double() * self.std.double().to(logits.device) + self.mean.double().to(logits.device)

    def predictions(self, names: Sequence[str], logits: Tensor, top: int) -> list[Prediction]:
        errors: Sequence[float | None] = self.error_90 or [None] * len(self.classes)
        return [
            ValuePrediction(name, tuple(zip(self.classes, row, errors, strict=True)))
            for name, row in zip(names, self.decode(logits).tolist(), strict=True)
        ]

    def evaluate(self, logits: Any, targets: NDArray[Any], keys: Sequence[str], *, data: str, split: str) -> Regressed:
        """Raises DataError if no target is known."""
        known = known_values(targets)
        if np.isnan(known).all():
            raise DataError(
                "Evaluation needs at least one known number.", received="none", where=f"{data}, {split}",
                fix="Fill in the numbers of this split, or evaluate another one.",
            )  # fmt: skip
        return evaluate_values(self.values(logits), known, self.classes, keys, data=data, split=split)

    def values(self, logits: Any) -> NDArray[np.float64]:
        return self.decode(torch.from_numpy(np.asarray(logits))).numpy()

    def statistic(self, scored: Any, targets: NDArray[Any], keys: Sequence[str]) -> Statistic:
        errors = Errors(self.values(scored), known_values(targets))
        return lambda counts: mean_known(errors.mae(counts))

    def sample_scores(self, scored: Any, targets: NDArray[Any], keys: Sequence[str]) -> NDArray[np.float64]:
        """The absolute error of each sample, a mean over the outputs that are known; NaN if none is."""
        errors = Errors(self.values(scored), known_values(targets))
        known = errors.known.sum(axis=1)
        return np.where(known > 0, errors.absolute.sum(axis=1) / np.maximum(1, known), np.nan)

    def target_text(self, target: Any) -> str:
        return write_values(self.classes, np.atleast_1d(np.asarray(target, np.float64)))


def known_values(targets: NDArray[Any]) -> NDArray[np.float64]:
    """Targets (N,) or (N, D) as (N, D)."""
    values = np.asarray(targets, np.float64)
    return values[:, None] if values.ndim == 1 else values


def conformal_error(gaps: NDArray[np.float64]) -> float | None:
    """The smallest error that covers 90% of new samples, by those of n others: the ceil(0.9 (n + 1))-th; (n,).

    >>> conformal_error(np.arange(1.0, 20.0)), conformal_error(np.ones(8))
    (18.0, None)
    """
    rank = math.ceil(COVERED * (len(gaps) + 1) - 1e-9)
    return float(np.sort(gaps)[rank - 1]) if rank <= len(gaps) else None
