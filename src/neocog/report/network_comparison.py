"""The classical comparison of networks: accuracy against cost, with parameters as area."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from neocog.report.plots import BLUE, GREY, INK, STYLE, axes_of

__all__ = ["Compared", "compare_networks"]

POINTS_PER_MILLION = 12  # area of a circle, in square points, for each million parameters
LEGEND = (5, 50, 150)  # millions of parameters


@dataclass(frozen=True, slots=True)
class Compared:
    """One circle."""

    name: str
    accuracy: float
    """Per cent."""
    macs: int
    parameters: int


def compare_networks(networks: Sequence[Compared], accuracy: str = "ImageNet top-1 accuracy, %") -> Figure:
    """A circle for each network: x is multiply-accumulates of one input, y accuracy, area the number of parameters.

    After Canziani, Paszke & Culurciello 2016, figure 2.
    """
    with rc_context(STYLE):
        figure, axes = axes_of(9.6, 6.2)
        ordered = sorted(networks, key=lambda network: -network.parameters)  # small circles on top of large ones
        axes.scatter(
            [network.macs for network in ordered],
            [network.accuracy for network in ordered],
            s=[area(network.parameters) for network in ordered],
            color=BLUE, alpha=0.35, edgecolors=INK, linewidths=0.8,
        )  # fmt: skip
        for millions in LEGEND:
            axes.scatter([], [], s=area(millions * 10**6), color=GREY, alpha=0.35, label=f"{millions} M parameters")
        axes.set(xscale="log", xlabel="multiply-accumulates for one input", ylabel=accuracy)
        axes.legend(loc="lower right", labelspacing=2.2, handletextpad=1.8, borderpad=1.4)
        axes.set_axisbelow(True)
        axes.margins(0.1)
        label(axes, ordered)
    return figure


def label(axes: Axes, networks: Sequence[Compared]) -> None:
    """Write each name beside its circle, at the nearest of a few positions that no earlier name covers."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # fixes the layout, so that positions on the page are known
    taken: list[Bbox] = []
    for network in sorted(networks, key=lambda network: -network.accuracy):
        text = axes.annotate(
            network.name, (network.macs, network.accuracy), (0, 0), textcoords="offset points",
            fontsize=7.5, color=INK, ha="center", va="center",
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6},
        )  # fmt: skip
        for place in places(Text.get_window_extent(text).width / 2):
            text.set_position(place)
            text.get_window_extent()  # moves it
            box = Text.get_window_extent(text).padded(1.5)  # without the line to its circle
            if not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)


def places(half_width: float) -> Iterator[tuple[float, float]]:
    """Offsets from a circle's centre in points, the nearest first."""
    for distance in (9, 12, 16, 20, 25, 30, 36, 42, 50, 60, 72):
        for right, up in ((0, 1), (0, -1), (1, 0.3), (-1, 0.3), (1, -0.6), (-1, -0.6), (1, 1), (-1, 1)):
            yield right * (0.6 * half_width + distance / 2), up * distance


def area(parameters: int) -> float:
    return POINTS_PER_MILLION * parameters / 1e6
