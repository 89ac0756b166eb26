"""The plot of the ratios: a point with its interval for each row and peer, on a logarithmic axis."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

from harness.turns import ratio

__all__ = ["draw"]


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the plot as SVG."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [
        (f"{result['what']}\nbeside {name}", ratio(next(iter(result["turns"].values())), turns, result["better"]))
        for result in results
        for name, turns in list(result["turns"].items())[1:]
    ]
    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(rows) + 1.2))
    for place, (_, found) in enumerate(rows):
        axes.plot([found.low, found.high], [place, place], color="#4477aa")
        axes.plot(found.median, place, "o", color="#4477aa")
    axes.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("times as good as the peer")
    axes.invert_yaxis()
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
