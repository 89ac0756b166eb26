"""Plots: those of the report, as SVG inside its page, and the learning rate range test."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

from neocog.errors import ConfigError
from neocog.evaluation import PrecisionRecall, ReliabilityBin, Scatter
from neocog.files import write_whole

if TYPE_CHECKING:
    from neocog.training.finders import RateCurve

__all__ = [
    "draw_confusion",
    "draw_history",
    "draw_learning_rate",
    "draw_precision_recall",
    "draw_range_test",
    "draw_reliability",
    "draw_scatter",
    "save_figure",
]

BLUE, ORANGE, GREY, INK = "#1f5fbf", "#d9622b", "#9aa3ad", "#39424d"
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "neocog",  # the same run gives the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e8ebef",
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}
KINDS = ("svg", "png", "pdf")
Rows = Sequence[Mapping[str, float]]


def svg(figure: Figure) -> str:
    """The figure's SVG element, without the XML prologue, scaling with the page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure in the format that the suffix names. Raises ConfigError for an unknown format."""
    buffer, kind = io.BytesIO(), path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise ConfigError(f"A plot is saved as one of {', '.join(KINDS)}.", received=str(path))
    with rc_context(STYLE):
        figure.savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    write_whole(path, buffer.getvalue())


def axes_of(width: float = 4.6, height: float = 2.9) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def draw_history(history: Rows, metric: str, best_epoch: int, *, percent: bool = False, log: bool = False) -> str:
    """A metric on training and validation data by epoch.

    With `log`, the axis is logarithmic if all values are positive and span a factor of 3 or more; over less there would
    be no tick to read.
    """
    with rc_context(STYLE):
        figure, axes = axes_of()
        epochs = [row["epoch"] for row in history]
        sides = {side: [row[f"{side}_{metric}"] for row in history] for side in ("train", "val")}
        for side, colour, label in (("train", GREY, "training"), ("val", BLUE, "validation")):
            axes.plot(epochs, sides[side], color=colour, label=label, marker="o", markersize=3)
        values = [value for value in (*sides["train"], *sides["val"]) if not math.isnan(value)]
        best = history[best_epoch]
        axes.plot(best["epoch"], best[f"val_{metric}"], "o", color=ORANGE, markersize=7, label="best")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        elif log and 0 < 3 * min(values) <= max(values):
            axes.set_yscale("log")  # late epochs, with small losses, are the interesting ones
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.legend()
        return svg(figure)


def draw_learning_rate(epochs: Sequence[float], rates: Sequence[float]) -> str:
    """The learning rate over the whole run, by epoch."""
    with rc_context(STYLE):
        figure, axes = axes_of(height=1.7)
        axes.plot(epochs, rates, color=INK)
        axes.set_xlabel("epoch")
        axes.set_ylim(bottom=0)
        return svg(figure)


def draw_scatter(scatter: Scatter) -> str:
    """Predicted against true values, a panel for each output; on the dashed line both are equal."""
    with rc_context(STYLE):
        num = len(scatter.names)
        columns = min(3, num)
        figure = Figure(figsize=(4.4 * columns, 4.2 * -(-num // columns)), layout="constrained")
        panels = figure.subplots(-(-num // columns), columns, squeeze=False)
        for axes in panels.flat[num:]:
            axes.set_visible(False)
        for axes, name, targets, values in zip(
            panels.flat, scatter.names, scatter.targets, scatter.values, strict=False
        ):
            known = [(x, y) for x, y in zip(targets, values, strict=True) if x is not None]
            both = [number for pair in known for number in pair]
            if known:
                axes.plot([min(both), max(both)], [min(both), max(both)], color=GREY, linestyle="--")
                axes.plot(*zip(*known, strict=True), "o", color=BLUE, markersize=3, alpha=0.5, markeredgewidth=0)
            axes.set_title(name, fontsize=9, color=INK, parse_math=False)
            axes.set_xlabel("true")
            axes.set_ylabel("predicted")
        return svg(figure)


def draw_precision_recall(curves: PrecisionRecall) -> str:
    """Precision at each recall, a line for each class."""
    with rc_context(STYLE):
        figure, axes = axes_of(height=3.4)
        for name, values in curves.curves.items():
            axes.plot(np.linspace(0, 1, len(values)), values, label=name.replace("_", " "))
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        if len(curves.curves) > 1:
            axes.legend()
        return svg(figure)


def draw_reliability(bins: Sequence[ReliabilityBin]) -> str:
    """The reliability diagram: accuracy against confidence, with the share of predictions in each bin below."""
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 4.2), layout="constrained")
        axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        width = bins[0].high - bins[0].low
        centres = [bin.low + width / 2 for bin in bins]
        axes.bar(centres, [bin.accuracy for bin in bins], width * 0.92, color=BLUE, alpha=0.85, label="accuracy")
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="perfectly calibrated")
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        axes.legend(loc="upper left")
        total = sum(bin.count for bin in bins)
        counts.bar(centres, [bin.count / total for bin in bins], width * 0.92, color=GREY)
        counts.set(xlabel="confidence", ylabel="share", ylim=(0, 1))
        for axis in (axes.xaxis, axes.yaxis, counts.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return svg(figure)


def draw_confusion(confusion: Sequence[Sequence[int]]) -> str:
    """The confusion matrix of many classes as a heat map of shares of each row."""
    counts: np.ndarray[Any, np.dtype[np.float64]] = np.array(confusion, float)
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with rc_context(STYLE | {"axes.grid": False}):
        figure, axes = axes_of(5.2, 4.6)
        drawn = axes.imshow(rates, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xlabel="predicted class", ylabel="true class")
        figure.colorbar(drawn, ax=axes, format=PercentFormatter(1.0, decimals=0), shrink=0.8)
        return svg(figure)


def draw_range_test(curve: "RateCurve") -> Figure:
    """Loss against learning rate, per batch and smoothed, with the suggested rates; the proposed one is highlighted."""
    with rc_context(STYLE):
        figure, axes = axes_of(6.4, 3.8)
        axes.plot(curve.rates, curve.losses, color=GREY, linewidth=0.8, label="each batch")
        axes.plot(curve.rates, curve.smoothed, color=BLUE, label="smoothed")
        for suggestion in curve.suggestions:
            proposed = suggestion == curve.proposed
            label = f"{suggestion.rule}: {suggestion.rate:.2g}{' (proposed)' if proposed else ''}"
            style = {"steepest": "--", "valley": ":"}.get(suggestion.rule, "-.")
            axes.axvline(suggestion.rate, color=ORANGE if proposed else INK, linestyle=style, linewidth=1, label=label)
        fall = curve.smoothed[0] - min(curve.smoothed)
        axes.set_ylim(min(curve.smoothed) - 0.2 * fall, curve.smoothed[0] + 0.6 * fall)  # not up to where it diverges
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        axes.legend()
    return figure
