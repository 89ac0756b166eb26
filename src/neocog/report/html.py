"""The report of a run: its content, and its page, one file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import nn

from neocog.evaluation import Calibration, ConfusionMatrix, Evaluation, Exhibit, PrecisionRecall, Scatter
from neocog.files import write_whole
from neocog.modalities.draw import Drawing
from neocog.report.images import filter_images
from neocog.report.plots import (
    draw_confusion,
    draw_history,
    draw_learning_rate,
    draw_precision_recall,
    draw_reliability,
    draw_scatter,
)
from neocog.report.search import Search, draw_search

__all__ = ["Curves", "Report", "write_report"]

MOST_CELLS = 20  # classes up to which the confusion matrix is a table with counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """The history of training."""

    progress_metric: str
    """The metric that is drawn beside the loss."""
    progress_percent: bool
    history: Sequence[Mapping[str, float]]
    best_epoch: int
    rates: Sequence[tuple[float, float]]
    """Epoch and learning rate, at points through the run."""
    stopped_early: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The content of a report."""

    name: str
    subtitle: str
    evaluation: Evaluation
    curves: Curves
    model: nn.Module
    model_facts: Mapping[str, str]
    drawings: Mapping[str, Drawing]
    """The inputs of the worst errors by record key."""
    config: Sequence[tuple[str, Any, str]]
    """Setting, value, origin."""
    environment: Mapping[str, str]
    notes: Sequence[str]
    search: Search | None = None
    """How the settings were found, if there was a search."""
    drawn: str = "Inputs as the network receives them, before normalisation"
    """The drawings in a few words."""
    legend: Sequence[tuple[str, str]] = ()
    """Classes and their CSS colours in the drawings, if colours have a meaning."""


def write_report(path: Path, report: Report) -> None:
    """Write the page, whole or not at all."""
    loader = PackageLoader("neocog.report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = cell_style
    evaluation, run = report.evaluation, report.curves
    filter_layer, filters = filter_images(report.model)
    page = environment.get_template("report.html.j2").render(
        report=report,
        evaluation=evaluation,
        headline=next(iter(evaluation.metrics.items())),
        exhibits=[(exhibit, draw_exhibit(exhibit)) for exhibit in evaluation.exhibits],
        loss_curve=draw_history(run.history, "loss", run.best_epoch, log=True),
        progress_curve=draw_history(run.history, run.progress_metric, run.best_epoch, percent=run.progress_percent),
        rate_curve=draw_learning_rate(*zip(*run.rates, strict=True)),
        search_curves=draw_search(report.search) if report.search else None,
        filter_layer=filter_layer,
        filters=filters,
        seconds=sum(row["seconds"] for row in run.history),
    )
    write_whole(path, page)


def draw_exhibit(exhibit: Exhibit) -> str | None:
    """The plot that belongs to a part of an evaluation, as SVG."""
    if isinstance(exhibit, ConfusionMatrix):
        return draw_confusion(exhibit.counts) if len(exhibit.classes) > MOST_CELLS else None
    if isinstance(exhibit, Scatter):
        return draw_scatter(exhibit)
    if isinstance(exhibit, PrecisionRecall):
        return draw_precision_recall(exhibit)
    return draw_reliability(exhibit.bins) if isinstance(exhibit, Calibration) else None


def cell_style(count: int, total: int, right: bool) -> str:
    """The colour of a cell of the confusion matrix: blue for correct predictions, red for errors."""
    share = count / total if total else 0.0
    strength = (0.12 + 0.78 * share) if right else min(0.9, 0.15 + 6 * share)
    colour = "31, 95, 191" if right else "201, 60, 42"
    ink = "#fff" if strength > 0.55 else "inherit"
    return f"background: rgba({colour}, {strength:.2f}); color: {ink}" if count else "color: #b6bdc6"
