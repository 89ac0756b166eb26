"""The evaluation of predicted numbers: errors in the unit of the targets, and the share of their spread explained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.evaluation import Evaluation, Exhibit, Row
from neocog.evaluation.intervals import Estimate, bootstrap

__all__ = ["Deviation", "OutputFigures", "Regressed", "Scatter", "evaluate_values", "r2"]

NUM_WORST = 24
MOST_POINTS = 2000  # of a scatter plot


@dataclass(frozen=True, slots=True)
class OutputFigures:
    """The errors of one output."""

    name: str
    mae: float
    rmse: float
    r2: float
    baseline: float
    """The mean absolute error of always predicting the median of these targets."""


@dataclass(frozen=True, slots=True)
class PerOutput(Exhibit):
    """The errors of each output, beside those of a constant."""

    figures: list[OutputFigures]

    anchor = "outputs"
    title = "Outputs"

    def rows(self) -> list[Row]:
        head = ("output", "MAE", "RMSE", "R2", "MAE of a constant")
        return [
            head,
            *((x.name, f"{x.mae:.4g}", f"{x.rmse:.4g}", f"{x.r2:.4f}", f"{x.baseline:.4g}") for x in self.figures),
        ]


@dataclass(frozen=True, slots=True)
class Scatter(Exhibit):
    """Predicted against true values of each output."""

    names: tuple[str, ...]
    targets: list[list[float | None]]
    """For each output, those of at most 2,000 samples; None where it isn't known."""
    values: list[list[float]]

    kind = "scatter"
    anchor = "scatter"
    title = "Predicted and true values"

    def rows(self) -> list[Row]:
        return []


@dataclass(frozen=True, slots=True)
class Deviation:
    """A sample whose prediction is far off, in standard deviations of the targets."""

    key: str
    target_text: str
    prediction_text: str
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Regressed(Evaluation):
    """All metrics of a network that predicts numbers; over all outputs, if there are several."""

    outputs: tuple[str, ...]
    mae: Estimate
    rmse: Estimate
    r2: Estimate
    per_output: list[OutputFigures]
    scatter: Scatter
    worst: list[Deviation]

    @property
    def metrics(self) -> dict[str, Estimate]:
        return {"MAE": self.mae, "RMSE": self.rmse, "R2": self.r2}

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        return (PerOutput(self.per_output), self.scatter)

    @property
    def worst_errors(self) -> list[Deviation]:
        return self.worst


def r2(values: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """The share of the targets' variance that is explained; the mean over outputs; (N, D), (N, D) -> number.

    0 for constant targets. NaN targets, which are not known, are left out. Equal to scikit-learn's r2_score.

    >>> r2(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]]))
    0.5
    """
    residual = np.nansum((values - targets) ** 2, axis=0)
    total = np.nansum((targets - known_mean(targets)) ** 2, axis=0)
    return float(np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), 0.0).mean())


def known_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the known values of each output, 0 if there are none, as may be in a bootstrap; (N, D) -> (D,)."""
    found: NDArray[np.float64] = np.nansum(values, axis=0) / np.maximum(1, (~np.isnan(values)).sum(axis=0))
    return found


def mean_absolute(values: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float(known_mean(np.abs(values - targets)).mean())


def root_mean_square(values: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float(np.sqrt(known_mean((values - targets) ** 2)).mean())


def evaluate_values(
    values: NDArray[np.float64],
    targets: NDArray[np.float64],
    outputs: tuple[str, ...],
    keys: Sequence[str],
    *,
    data: str,
    split: str,
) -> Regressed:
    """Score values (N, D) against targets (N, D), both in the targets' units; NaN targets are not known.

    All figures are computed for each output and then averaged. Intervals are bootstrapped over samples.
    """
    assert len(values) == len(targets) == len(keys), "samples in = samples scored"
    spread = np.nanstd(targets, axis=0)
    gaps = np.abs(values - targets) / np.where(spread > 0, spread, 1.0)
    far = np.nanmax(np.where(np.isnan(gaps), -1.0, gaps), axis=1)
    worst = [i for i in np.argsort(-far, kind="stable")[:NUM_WORST].tolist() if far[i] > 0]
    shown = np.linspace(0, len(values) - 1, min(MOST_POINTS, len(values))).astype(int)
    return Regressed(
        data=data,
        split=split,
        count=len(targets),
        outputs=outputs,
        mae=bootstrap(mean_absolute, values, targets),
        rmse=bootstrap(root_mean_square, values, targets),
        r2=bootstrap(r2, values, targets),
        per_output=[
            OutputFigures(
                name,
                mean_absolute(values[:, [d]], targets[:, [d]]),
                root_mean_square(values[:, [d]], targets[:, [d]]),
                r2(values[:, [d]], targets[:, [d]]),
                float(np.nanmean(np.abs(targets[:, d] - np.nanmedian(targets[:, d])))),
            )
            for d, name in enumerate(outputs)
        ],
        scatter=Scatter(
            outputs,
            [[None if np.isnan(x) else x for x in targets[shown, d].tolist()] for d in range(len(outputs))],
            [values[shown, d].tolist() for d in range(len(outputs))],
        ),
        worst=[
            Deviation(keys[i], write_values(outputs, targets[i]), write_values(outputs, values[i]), float(far[i]))
            for i in worst
        ],
    )


def write_values(outputs: Sequence[str], values: NDArray[np.float64]) -> str:
    """The values of one sample, named if there are several."""
    texts = ["not known" if np.isnan(value) else f"{value:.4g}" for value in values.tolist()]
    return (
        texts[0] if len(texts) == 1 else ", ".join(f"{name} {text}" for name, text in zip(outputs, texts, strict=True))
    )
