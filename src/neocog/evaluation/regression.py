"""The evaluation of predicted numbers: errors in the unit of the targets, and the share of their spread explained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.evaluation import Evaluation, Exhibit, Row
from neocog.evaluation.intervals import Estimate
from neocog.evaluation.weighted import bootstrap_counts

__all__ = [
    "Deviation",
    "Errors",
    "OutputFigures",
    "Regressed",
    "Scatter",
    "evaluate_values",
    "mean_known",
    "write_values",
]

NUM_WORST = 24
MOST_POINTS, MOST_PANELS = 2000, 12  # of a scatter plot, and outputs that have one
MOST_ROWS = 50  # outputs that a terminal shows
ROUNDING = 1e-26, 1e-12  # of squares, and of a difference of sums of squares: less is rounding


@dataclass(frozen=True, slots=True)
class OutputFigures:
    """The errors of one output; None if no target is known."""

    name: str
    mae: float | None
    rmse: float | None
    r2: float | None
    baseline: float | None
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
            *(
                (x.name, write(x.mae), write(x.rmse), write(x.r2, ".4f"), write(x.baseline))
                for x in self.figures[:MOST_ROWS]
            ),
        ]


def write(value: float | None, form: str = ".4g") -> str:
    return "-" if value is None else format(value, form)


@dataclass(frozen=True, slots=True)
class Scatter(Exhibit):
    """Predicted against true values of each output, the first twelve."""

    names: tuple[str, ...]
    targets: list[list[float | None]]
    """For each output, those of at most 2,000 samples; None if it isn't known."""
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


class Errors:
    """The errors of each output, for any weights of the samples; values and targets are (N, D).

    A target that is not known is NaN, and left out. Each metric takes how often every sample counts, (N,), and gives
    one number for each output, (D,), which is NaN where no target is known.

    >>> errors = Errors(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]]))
    >>> errors.mae(np.ones(3)).round(4).tolist(), errors.rmse(np.ones(3)).round(4).tolist()
    ([0.3333], [0.5774])
    >>> errors.r2(np.ones(3)).tolist(), errors.mae(np.array([0.0, 1.0, 1.0])).tolist()
    ([0.5], [0.5])
    """

    def __init__(self, values: NDArray[np.float64], targets: NDArray[np.float64]) -> None:
        known = ~np.isnan(targets)
        self.known = known.astype(np.float64)
        gaps = np.where(known, values - targets, 0.0)
        self.absolute, self.squared = np.abs(gaps), gaps**2
        there = np.where(known, targets, 0.0)
        self.squares = there**2
        means = divide(there.sum(axis=0), self.known.sum(axis=0))
        # Sums of squares of what is far from zero would lose their digits.
        self.centred = np.where(known, targets - means, 0.0)

    def mae(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean absolute error."""
        return divide(counts @ self.absolute, counts @ self.known)

    def rmse(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The root of the mean squared error."""
        return np.asarray(np.sqrt(divide(counts @ self.squared, counts @ self.known)))

    def r2(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of the targets' variance that is explained; 0 for targets that are all equal."""
        squares = counts @ self.centred**2
        total = squares - divide((counts @ self.centred) ** 2, counts @ self.known)
        least = np.maximum(ROUNDING[0] * (counts @ self.squares), ROUNDING[1] * squares)
        varies = total > least
        found = np.where(varies, 1 - (counts @ self.squared) / np.where(varies, total, 1.0), 0.0)
        return np.where(counts @ self.known > 0, found, np.nan)

    def spread(self) -> NDArray[np.float64]:
        """The standard deviation of the targets; 1 where they are all equal or none is known."""
        ones = np.ones(len(self.known))
        variance = divide(ones @ self.centred**2, ones @ self.known)
        varies = variance > ROUNDING[0] * divide(ones @ self.squares, ones @ self.known)
        return np.where(varies, np.sqrt(np.where(varies, variance, 1.0)), 1.0)


def divide(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quotient, NaN where there is nothing to divide by."""
    found: NDArray[np.float64] = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
    return found


def mean_known(values: NDArray[np.float64]) -> float:
    """The mean of what is not NaN; NaN if all is.

    >>> mean_known(np.array([1.0, np.nan, 2.0]))
    1.5
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


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

    All figures are computed for each output and then averaged over those with a known target, of which there must be
    one. Intervals are bootstrapped over samples.
    """
    assert len(values) == len(targets) == len(keys), "samples in = samples scored"
    errors, num = Errors(values, targets), len(targets)
    far = (errors.absolute / errors.spread()).max(axis=1)
    worst = [i for i in np.argsort(-far, kind="stable")[:NUM_WORST].tolist() if far[i] > 0]
    return Regressed(
        data=data,
        split=split,
        count=num,
        outputs=outputs,
        mae=bootstrap_counts(lambda counts: mean_known(errors.mae(counts)), num, values.size),
        rmse=bootstrap_counts(lambda counts: mean_known(errors.rmse(counts)), num, values.size),
        r2=bootstrap_counts(lambda counts: mean_known(errors.r2(counts)), num, values.size),
        per_output=output_figures(errors, targets, outputs),
        scatter=draw_points(values, targets, outputs),
        worst=[
            Deviation(keys[i], write_values(outputs, targets[i]), write_values(outputs, values[i]), float(far[i]))
            for i in worst
        ],
    )


def output_figures(errors: Errors, targets: NDArray[np.float64], outputs: Sequence[str]) -> list[OutputFigures]:
    """The figures of each output."""
    ones = np.ones(len(targets))
    columns = [metric(ones).tolist() for metric in (errors.mae, errors.rmse, errors.r2)]
    found = []
    for d, name in enumerate(outputs):
        known = targets[~np.isnan(targets[:, d]), d]
        baseline = float(np.abs(known - np.median(known)).mean()) if len(known) else float("nan")
        figures = [None if np.isnan(x) else float(x) for x in (*(column[d] for column in columns), baseline)]
        found.append(OutputFigures(name, *figures))
    return found


def draw_points(values: NDArray[np.float64], targets: NDArray[np.float64], outputs: tuple[str, ...]) -> Scatter:
    """Evenly chosen samples of the first outputs, as points."""
    shown = np.linspace(0, len(values) - 1, min(MOST_POINTS, len(values))).astype(int)
    names = outputs[:MOST_PANELS]
    return Scatter(
        names,
        [[None if np.isnan(x) else x for x in targets[shown, d].tolist()] for d in range(len(names))],
        [values[shown, d].tolist() for d in range(len(names))],
    )


def write_values(outputs: Sequence[str], values: NDArray[np.float64]) -> str:
    """The values of one sample, named if there are several."""
    texts = ["not known" if np.isnan(value) else f"{value:.4g}" for value in values.tolist()]
    return (
        texts[0] if len(texts) == 1 else ", ".join(f"{name} {text}" for name, text in zip(outputs, texts, strict=True))
    )
