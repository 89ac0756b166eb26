"""The plot of the ratios: for each row and peer a point with its interval, on a logarithmic axis.

It is narrow, so that it can be read on a phone: text is above the points rather than beside them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

from harness.results import Comparison, Outcome, Result, compare
from harness.row import AREAS
from harness.table import three

__all__ = ["draw"]

WIDTH, LINE, LEFT, RIGHT = 5.4, 0.2, 1.75, 0.65  # inches
COLORS: dict[Outcome, str] = {
    "wins": "#2c6fa6", "as good": "#777777", "peer wins": "#c8501e", "a bound": "#6b4c9a", "too few turns": "#b3b3b3"
}  # fmt: skip
SAID: dict[Outcome, str] = {
    "wins": "Neocog wins", "as good": "as good", "peer wins": "the peer wins", "a bound": "the other does less",
    "too few turns": "too few turns to tell"
}  # fmt: skip
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "neocog", "font.size": 8.5}
BAND = "#f3f4f6"
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the plot: the title of an area, what a row compares, or a peer."""

    height: float
    title: str = ""
    what: str = ""
    found: Comparison | None = None


def draw(results: Sequence[Result], path: Path) -> None:
    """Write the plot as SVG. Rows without peers are not in it."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = lines_of(results)
    above, below = 0.75, 0.5
    deep = max(LINE, sum(line.height for line in lines))
    tall = deep + above + below
    with pyplot.rc_context(STYLE):
        figure = pyplot.figure(figsize=(WIDTH, tall), facecolor="white")
        across = (WIDTH - LEFT - RIGHT) / WIDTH
        axes = figure.add_axes((LEFT / WIDTH, below / tall, across, deep / tall))
        axes.set_ylim(deep, 0)
        axes.set_xscale("log")
        axes.set_xlim(*bounds([line.found for line in lines if line.found]))
        depth = 0.0
        for line in lines:
            draw_line(axes, line, depth)
            depth += line.height
        finish(axes, lines)
        figure.savefig(path, format="svg", metadata={"Date": None})
        pyplot.close(figure)


def lines_of(results: Sequence[Result]) -> list[Line]:
    lines = []
    for area, title in AREAS.items():
        chosen = [result for result in results if result["area"] == area and compare(result)]
        lines += [Line(0.38, title=title)] if chosen else []
        for result in chosen:
            what = result["what"].replace("`", "")
            what = what if len(what) <= 84 else what[:82].rstrip() + " …"
            lines.append(Line(0.26, what=what))
            lines += [Line(LINE, found=found) for found in compare(result)]
    return lines


def bounds(found: Sequence[Comparison]) -> tuple[float, float]:
    """Ends of the axis: it holds 1, all intervals, and something beside them."""
    values = [1.0, *(value for each in found for value in (each.times.low, each.times.high, each.target or 1.0))]
    return min(0.5, min(values) / 1.3), max(2.0, max(values) * 1.3)


def draw_line(axes: Any, line: Line, depth: float) -> None:
    """Draw one line, whose upper edge is at this depth."""
    beside = axes.get_yaxis_transform()  # x in shares of the axes
    left, right = -LEFT / (WIDTH - LEFT - RIGHT), 1 + RIGHT / (WIDTH - LEFT - RIGHT)
    middle = depth + line.height / 2
    if line.title:
        axes.text(
            left + 0.03, middle + 0.07, line.title, transform=beside, weight="bold", va="center", fontsize=10, zorder=4
        )
    elif line.what:
        axes.fill_between(
            [left, right],
            depth + 0.04,
            depth + line.height,
            transform=beside,
            color=BAND,
            clip_on=False,
            lw=0,
            zorder=2,
        )
        axes.text(left + 0.03, middle + 0.02, line.what, transform=beside, va="center", fontsize=7.5, zorder=4)
    elif line.found:
        draw_point(axes, line.found, middle, right)


def draw_point(axes: Any, found: Comparison, depth: float, right: float) -> None:
    color, beside = COLORS[found.outcome], axes.get_yaxis_transform()
    if found.target is not None:
        axes.plot([found.target] * 2, [depth - 0.07, depth + 0.07], color="black", lw=1.6, solid_capstyle="butt")
    axes.plot([found.times.low, found.times.high], [depth, depth], color=color, lw=2.5, solid_capstyle="round")
    axes.plot(found.times.median, depth, "o", color=color, ms=5.5, mec="white", mew=0.8, zorder=3)
    name = found.peer if len(found.peer) <= 27 else found.peer[:25].rstrip() + " …"
    axes.text(-0.03, depth, name, transform=beside, ha="right", va="center", color="#333333", fontsize=8)
    said = f"{three(found.times.median)}x"
    axes.text(right - 0.03, depth, said, transform=beside, ha="right", va="center", color=color, weight="bold")


def finish(axes: Any, lines: Sequence[Line]) -> None:
    """The axis, the line at 1, and what the colours mean."""
    from matplotlib.lines import Line2D

    found = [line.found for line in lines if line.found]
    low, high = axes.get_xlim()
    ticks = [tick for tick in TICKS if low <= tick <= high]
    while len(ticks) > 7:
        ticks = [tick for tick in ticks if math.log10(tick) % 1 == 0 or tick == 1][: len(ticks) - 1]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.tick_params(top=True, labeltop=True)
    axes.set_yticks([])
    axes.set_xlabel("times as good as the peer, with 95% interval")
    axes.axvline(1, color="black", lw=0.9, zorder=1)
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    marks = [
        Line2D([], [], color=COLORS[name], marker="o", lw=2.5, ms=5.5, mec="white", label=SAID[name])
        for name in COLORS
        if any(each.outcome == name for each in found)
    ]
    if any(each.target is not None for each in found):
        marks.append(Line2D([], [], color="black", marker="|", lw=0, ms=8, mew=1.6, label="asked"))
    axes.figure.legend(
        handles=marks, loc="upper center", ncols=4, frameon=False, fontsize=7.5, columnspacing=1, handlelength=1.6
    )
