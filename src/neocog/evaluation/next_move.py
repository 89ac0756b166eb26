"""The evaluation of predicted moves: as of a classifier, and by the phase of the game."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.class_metrics import top_k_hits
from neocog.evaluation.classifier import Calibration, Classified, evaluate_classifier
from neocog.evaluation.evaluation import Exhibit, Row
from neocog.evaluation.intervals import Estimate, wilson

__all__ = ["MovesPredicted", "PhaseFigures", "Phases", "evaluate_moves"]

OPENING, MIDDLE = 1 / 8, 1 / 2
"""Of the points of the board, the moves that belong to the opening, and to the opening and the middle game."""


@dataclass(frozen=True, slots=True)
class PhaseFigures:
    """How often the move of a phase was the first, or among the first five."""

    name: str
    moves: str
    """Their numbers, such as 1 to 10."""
    count: int
    top1: Estimate
    top5: Estimate


@dataclass(frozen=True, slots=True)
class Phases(Exhibit):
    """Accuracy in the opening, the middle game and the end, and of passes."""

    figures: list[PhaseFigures]

    anchor = "phases"
    title = "By phase of the game"
    left = (0, 1)

    def rows(self) -> list[Row]:
        head = ("phase", "moves", "samples", "top-1", "95% interval", "top-5", "95% interval")
        return [head, *(phase_row(found) for found in self.figures)]


def phase_row(found: PhaseFigures) -> Row:
    shares: list[str] = []
    for share in (found.top1, found.top5):
        shares += [f"{share.value:.1%}", f"{share.low:.1%} to {share.high:.1%}"]
    return (found.name, found.moves, f"{found.count:,}", *shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class MovesPredicted(Classified):
    """All metrics of predicted moves."""

    top1_points: Estimate | None
    """Accuracy without passes, which are easy: most follow a pass. None if there are none, or nothing else."""
    phases: list[PhaseFigures]

    @property
    def metrics(self) -> dict[str, Estimate]:
        top5 = {"top-5 accuracy": self.top5} if self.top5 else {}
        points = {"accuracy without passes": self.top1_points} if self.top1_points else {}
        return {"accuracy": self.top1, **points, **top5, "loss": self.loss, "calibration error (ECE)": self.ece}

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        """Without figures for each point of the board, which is not a class of its own kind."""
        return Phases(self.phases), Calibration(self.reliability, self.ece)


def evaluate_moves(
    logits: NDArray[np.floating],
    targets: NDArray[np.int64],
    classes: tuple[str, ...],
    keys: Sequence[str],
    numbers: NDArray[np.int64],
    *,
    num_points: int,
    data: str,
    split: str,
) -> MovesPredicted:
    """Score logits (N, K) against the moves (N,) that were played, which are points 0..num_points-1, or a pass.

    `numbers` (N,) are those of the moves within their games, from 1; 0 if they are not known. The opening are the first
    1/8 of as many moves as the board has points, the middle game goes up to 1/2. Intervals of shares are Wilson's.
    """
    base = evaluate_classifier(logits, targets, classes, keys, data=data, split=split)
    hits = np.stack([top_k_hits(logits, targets, 1), top_k_hits(logits, targets, 5)])
    hits[0] = logits.argmax(axis=1) == targets
    passes = targets >= num_points
    opening, middle = round(OPENING * num_points), round(MIDDLE * num_points)
    parts = {
        ("opening", f"1 to {opening}"): ~passes & (numbers >= 1) & (numbers <= opening),
        ("middle game", f"{opening + 1} to {middle}"): ~passes & (numbers > opening) & (numbers <= middle),
        ("end", f"from {middle + 1}"): ~passes & (numbers > middle),
        ("unknown", "without a number"): ~passes & (numbers < 1),
        ("passes", "all"): passes,
    }
    phases = [figures(*name, hits[:, rows]) for name, rows in parts.items() if rows.any()]
    some_of_each = bool(passes.any() and not passes.all())
    points = wilson(int(hits[0, ~passes].sum()), int((~passes).sum())) if some_of_each else None
    known = {field.name: getattr(base, field.name) for field in fields(base)}
    return MovesPredicted(**known, top1_points=points, phases=phases)


def figures(name: str, moves: str, hits: NDArray[np.bool_]) -> PhaseFigures:
    """One row from hits (2, n): among the first one and the first five."""
    count = hits.shape[1]
    return PhaseFigures(name, moves, count, *(wilson(int(row.sum()), count) for row in hits))
