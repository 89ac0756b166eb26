"""Two batches of named arrays, side by side: how far apart they are, in units that mean the same for every network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.box_matching import overlap

__all__ = ["Arrays", "Differences", "Spreads", "compare_arrays", "largest_of", "shape_fault"]

Arrays = Mapping[str, NDArray[Any]]
"""The outputs for a batch, by name."""

ROUNDING = 1e-2  # of the largest output, below which a spread is not believed: a thousandth of it is 100 roundings
TIES = 1e-5  # of all places, where two classes are equally probable up to rounding
SAME = 0.9  # intersection over union from which two boxes are one, before their sides are compared


@dataclass(slots=True)
class Spreads:
    """How much each output of the bundle varies from sample to sample, gathered batch by batch.

    The root of the mean variance over samples of each column (N, K), and no less than a hundredth of the largest value:
    a network whose outputs hardly vary is not held to more digits than float32 has.

    >>> spreads = Spreads()
    >>> spreads.add({"logits": np.array([[0.0, 4.0], [2.0, 4.0]])})
    >>> round(spreads.of("logits"), 4)
    0.7071
    """

    count: int = 0
    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    squares: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    first: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    highest: dict[str, float] = field(default_factory=dict)

    def add(self, outputs: Arrays) -> None:
        """Count the float outputs (N, K) of a batch."""
        rows = [(name, values.astype(np.float64)) for name, values in outputs.items() if is_table(name, values)]
        for name, values in rows:
            finite = np.where(np.isfinite(values), values, 0.0)
            origin = self.first.setdefault(name, finite[0].copy())
            self.sums[name] = self.sums.get(name, 0.0) + (finite - origin).sum(axis=0)
            self.squares[name] = self.squares.get(name, 0.0) + ((finite - origin) ** 2).sum(axis=0)
            self.highest[name] = max(self.highest.get(name, 0.0), float(np.abs(finite).max(initial=0)))
        self.count += len(rows[0][1]) if rows else 0

    def of(self, name: str) -> float:
        """The spread of an output; 1 for one that is not a table of numbers."""
        if name not in self.sums or not self.count:
            return 1.0
        variance = self.squares[name] / self.count - (self.sums[name] / self.count) ** 2
        spread = float(np.sqrt(np.maximum(variance, 0).mean()))
        return max(spread, ROUNDING * self.highest[name]) or 1.0


@dataclass(slots=True)
class Differences:
    """The differences of many batches."""

    spreads: Spreads
    largest: dict[str, float] = field(default_factory=dict)
    """Of the tables of numbers, by name, in their own unit."""
    apart: dict[str, float] = field(default_factory=dict)
    """Of masks: places with another class; of boxes: the scores of those without a partner."""
    whole: dict[str, float] = field(default_factory=dict)
    """Of masks: the places of all but the commonest class; of boxes: all scores."""
    places: dict[str, int] = field(default_factory=dict)

    def add(self, expected: Arrays, found: Arrays) -> None:
        """Compare one batch more."""
        if "boxes" in expected:
            self.add_boxes(expected, found)
            return
        for name, values in expected.items():
            if is_table(name, values):
                self.largest[name] = max(self.largest.get(name, 0.0), largest_of(values, found[name]))
            else:
                self.add_mask(name, values, found[name])

    def add_mask(self, name: str, expected: NDArray[Any], found: NDArray[Any]) -> None:
        differs = expected != found
        counts = np.bincount(expected.ravel(), minlength=256)
        ground = counts.argmax()
        self.apart[name] = self.apart.get(name, 0.0) + float(differs.sum())
        self.whole[name] = self.whole.get(name, 0.0) + float(((expected != ground) | (found != ground)).sum())
        self.places[name] = self.places.get(name, 0) + expected.size

    def add_boxes(self, expected: Arrays, found: Arrays) -> None:
        for i in range(len(expected["count"])):
            a, b = (rows_of(each, i) for each in (expected, found))
            pairs = match_boxes(a, b)
            lost = sum(float(np.delete(each["scores"], at).sum()) for each, at in ((a, pairs[0]), (b, pairs[1])))
            self.apart["boxes"] = self.apart.get("boxes", 0.0) + lost
            scores = float(a["scores"].sum() + b["scores"].sum())
            self.whole["boxes"] = self.whole.get("boxes", 0.0) + scores
            self.add_pairs(
                *({name: rows[at] for name, rows in each.items()} for each, at in ((a, pairs[0]), (b, pairs[1])))
            )

    def add_pairs(self, a: Arrays, b: Arrays) -> None:
        """Boxes that are the same, row by row: their scores, and their sides in units of the box's."""
        sides = np.maximum(a["boxes"][:, 2:] - a["boxes"][:, :2], 1.0).mean(axis=1, keepdims=True)
        gaps = {"sides of boxes": np.abs(a["boxes"] - b["boxes"]) / sides, "scores": np.abs(a["scores"] - b["scores"])}
        for name, values in gaps.items():
            self.largest[name] = max(self.largest.get(name, 0.0), float(values.max(initial=0)))

    def relative(self) -> dict[str, float]:
        """Each output's difference: the largest of a table in units of its spread, the share of a mask or of boxes."""
        found = {name: value / self.spreads.of(name) for name, value in self.largest.items()}
        for name, value in self.apart.items():
            found[name] = max(0.0, value - TIES * self.places.get(name, 0)) / max(1e-12, self.whole[name], value)
        return found


def compare_arrays(expected: Arrays, found: Arrays, spreads: Spreads) -> dict[str, float]:
    """The differences of one batch, as `Differences.relative`."""
    differences = Differences(spreads)
    differences.add(expected, found)
    return differences.relative()


def largest_of(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """The largest difference of two arrays; infinite where only one of them is finite.

    >>> largest_of(np.array([1.0, np.inf]), np.array([1.5, np.inf])), largest_of(np.array([1.0]), np.array([np.nan]))
    (0.5, inf)
    """
    if expected.shape != found.shape:
        return float("inf")
    a, b = expected.astype(np.float64), found.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        gaps = np.where(same, 0.0, np.abs(a - b))
    return float(np.where(np.isnan(gaps), np.inf, gaps).max(initial=0))


def shape_fault(expected: Arrays, found: Arrays) -> str:
    """The first output that is missing, or has another type or shape than that of the bundle; empty if there is none.

    Boxes may have more rows, since their number is in `count`.
    """
    for name, values in expected.items():
        if name not in found:
            return f"there is no output {name!r}"
        other = found[name]
        if other.dtype != values.dtype:
            return f"{name} is {other.dtype} instead of {values.dtype}"
        counted = "count" in expected and name != "count"
        if (other.shape[:1] if counted else other.shape) != (values.shape[:1] if counted else values.shape):
            return f"{name} has the shape {other.shape} instead of {values.shape}"
    return ""


def is_table(name: str, values: NDArray[Any]) -> bool:
    """Whether an output is a number for each sample and class, (N, K)."""
    return values.dtype.kind == "f" and values.ndim == 2 and name != "scores"


def rows_of(outputs: Arrays, index: int) -> dict[str, NDArray[Any]]:
    """The boxes of one sample, without the rows behind them."""
    count = int(outputs["count"][index])
    return {name: outputs[name][index, :count] for name in ("boxes", "scores", "labels")}


def match_boxes(a: Arrays, b: Arrays) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of A and B that are the same box: same class, and the largest overlap, from 0.9 on; each once."""
    if not len(a["scores"]) or not len(b["scores"]):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    rows, columns = len(a["scores"]), len(b["scores"])
    one = np.repeat(a["boxes"].astype(np.float64), columns, axis=0)
    other = np.tile(b["boxes"].astype(np.float64), (rows, 1))
    shared = overlap(one, other, np.zeros(rows * columns, bool)).reshape(rows, columns)
    shared = np.where(a["labels"][:, None] == b["labels"][None], shared, 0.0)
    # Of boxes that lie on each other, those with the nearest score are the pair.
    shared = shared - 1e-3 * np.abs(a["scores"][:, None] - b["scores"][None])
    at = np.argwhere(shared >= SAME)
    at = at[np.argsort(-shared[at[:, 0], at[:, 1]], kind="stable")]
    left: list[int] = []
    right: list[int] = []
    for row, column in at.tolist():
        if row not in left and column not in right:
            left.append(row)
            right.append(column)
    return np.array(left, np.int64), np.array(right, np.int64)
