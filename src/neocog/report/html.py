"""The report's page: what goes into it, and writing it as one file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import nn

from neocog.evaluation import Evaluation
from neocog.files import write_whole
from neocog.report.pictures import filter_pictures
from neocog.report.plots import confusion_map, curves, learning_rate_curve, reliability_diagram

__all__ = ["Curves", "Report", "write_report"]

MOST_CELLS = 20  # classes up to which the confusion matrix is a table with counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """How training went."""

    history: Sequence[Mapping[str, float]]
    best_epoch: int
    rates: Sequence[tuple[float, float]]
    """Epoch and learning rate, at points through the run."""
    stopped_early: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a report tells."""

    name: str
    subtitle: str
    evaluation: Evaluation
    curves: Curves
    model: nn.Module
    model_facts: Mapping[str, str]
    mistake_pictures: Mapping[str, str]
    """Record key -> `data:` address."""
    config: Sequence[tuple[str, Any, str]]
    """Setting, value, where it came from."""
    environment: Mapping[str, str]
    notes: Sequence[str]


def write_report(path: Path, report: Report) -> None:
    """Write the page, whole or not at all."""
    loader = PackageLoader("neocog.report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = cell_style
    evaluation, run = report.evaluation, report.curves
    small = len(evaluation.classes) <= MOST_CELLS
    filter_layer, filters = filter_pictures(report.model)
    page = environment.get_template("report.html.j2").render(
        report=report,
        evaluation=evaluation,
        loss_curve=curves(run.history, "loss", run.best_epoch),
        accuracy_curve=curves(run.history, "accuracy", run.best_epoch),
        rate_curve=learning_rate_curve(*zip(*run.rates, strict=True)),
        reliability_plot=reliability_diagram(evaluation.reliability),
        confusion_plot=None if small else confusion_map(evaluation.confusion),
        confusions=frequent_confusions(evaluation),
        filter_layer=filter_layer,
        filters=filters,
        seconds=sum(row["seconds"] for row in run.history),
    )
    write_whole(path, page)


def frequent_confusions(evaluation: Evaluation, most: int = 8) -> list[tuple[str, str, int]]:
    """Truth, prediction and count of the most frequent errors."""
    classes = evaluation.classes
    pairs = [
        (classes[i], classes[j], count)
        for i, row in enumerate(evaluation.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:most]


def cell_style(count: int, total: int, right: bool) -> str:
    """The colour of a cell of the confusion matrix: blue where it is right, red where it is wrong."""
    share = count / total if total else 0.0
    strength = (0.12 + 0.78 * share) if right else min(0.9, 0.15 + 6 * share)
    colour = "31, 95, 191" if right else "201, 60, 42"
    ink = "#fff" if strength > 0.55 else "inherit"
    return f"background: rgba({colour}, {strength:.2f}); color: {ink}" if count else "color: #b6bdc6"
