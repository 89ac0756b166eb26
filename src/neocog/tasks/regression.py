"""One or several numbers for each sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Source
from neocog.errors import DataError, some
from neocog.evaluation import Regressed, evaluate_values
from neocog.progress import note
from neocog.tasks.criterion import Criterion
from neocog.tasks.loss import LossConfig, LossKind
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
        error_90: Sequence[float] | None = None,
    ) -> None:
        super().__init__(classes)
        config = loss or LossConfig()
        self.kind, self.delta = config.kind or "huber", config.huber_delta or 1.0
        self.mean = torch.zeros(len(classes)) if mean is None else torch.tensor(mean)
        self.std = torch.ones(len(classes)) if std is None else torch.tensor(std)
        self.error_90 = error_90

    @classmethod
    def for_training(cls, classes: tuple[str, ...], loss: LossConfig, targets: Tensor) -> Self:
        values = targets.double().numpy()
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        return cls(classes, loss, mean=mean.tolist(), std=np.where(std > 0, std, 1.0).tolist())

    @classmethod
    def restore(cls, classes: tuple[str, ...], learned: Mapping[str, Any]) -> Self:
        if {len(learned[name]) for name in ("mean", "std")} != {len(classes)}:
            raise ValueError(f"its {len(classes)} outputs need a mean and a deviation each, received {learned!r:.200}")
        return cls(classes, mean=learned["mean"], std=learned["std"], error_90=learned.get("error_90"))

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
        """The absolute error in the unit of the targets, a mean over outputs, summed over samples."""
        gaps = (self.decode(logits) - targets.double()).abs()
        return float(torch.where(gaps.isnan(), 0.0, gaps).mean(dim=1).sum())

    def validation(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        loss = self.logits_loss(logits.double(), targets.double())
        return {"loss": loss.item(), "MAE": self.progress_sum(logits, targets) / len(targets)}

    def learn_decisions(self, logits: Tensor, targets: Tensor) -> None:
        """The error that 90% of the validation samples did not exceed, for each output.

        Source: split conformal prediction, Lei et al. 2018, "Distribution-free predictive inference for regression".
        """
        gaps = (self.decode(logits) - targets.double()).abs().numpy()
        share = min(1.0, COVERED * (1 + 1 / len(gaps)))
        self.error_90 = np.nanquantile(gaps, share, axis=0, method="higher").tolist()

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
        values = self.decode(torch.from_numpy(np.asarray(logits))).numpy()
        known = np.asarray(targets, np.float64)
        known = known[:, None] if known.ndim == 1 else known
        measured: NDArray[np.bool_] = ~np.isnan(known).all(axis=0)
        if not measured.any():
            raise DataError("Evaluation needs known values.", received="none", where=f"{data}, {split}")
        names = tuple(name for name, is_known in zip(self.classes, measured.tolist(), strict=True) if is_known)
        return evaluate_values(values[:, measured], known[:, measured], names, keys, data=data, split=split)
