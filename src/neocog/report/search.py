"""The part of a report that shows how the settings of a run were found: what was seen, tried and chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.ticker import PercentFormatter

from neocog.report.plots import BLUE, GREY, ORANGE, STYLE, axes_of, svg

__all__ = ["Search", "Tried", "draw_search"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A candidate in one round of a race."""

    name: str
    round: str
    """Such as `frozen features`, or `second round`."""
    figure: str
    """Its metric with the 95% interval, or why there is none."""
    by: str
    """How it was scored."""
    seconds: float
    samples: int
    chosen: bool
    curve: Sequence[tuple[float, float]]
    """Seconds of training, and the metric, after each validation; empty for frozen features."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A search: facts about the data, trials, and the choice."""

    seen: Sequence[str]
    tried: Sequence[Tried]
    chosen: Sequence[str]
    """Sentences: what was chosen and why, what more time and more samples would give, which classes need samples."""


def draw_search(search: Search) -> str | None:
    """The metric of each trained trial over its seconds, as SVG; None if nothing was trained."""
    curves = [tried for tried in search.tried if tried.curve]
    if not curves:
        return None
    with rc_context(STYLE):
        figure, axes = axes_of(7.2, 3.2)
        for tried in curves:
            seconds, values = zip(*tried.curve, strict=True)
            colour = ORANGE if tried.chosen else BLUE if tried.round == "second round" else GREY
            axes.plot(seconds, values, color=colour, marker="o", markersize=3)
            axes.annotate(
                tried.name, (seconds[-1], values[-1]), xytext=(5, 0), textcoords="offset points", fontsize=7.5,
                color=colour, va="center",
            )  # fmt: skip
        axes.set_xlabel("seconds of training")
        axes.margins(x=0.25)
        if all(0 <= value <= 1 for tried in curves for _, value in tried.curve):
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        return svg(figure)
