"""Maps over a sample, one number for each place, drawn on the axes of a Matplotlib figure.

Red is positive and blue negative; the more of either, the less of the sample shows through. The scale is part of the
map: nothing here stretches a map to its own range.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Payload
from neocog.modalities.preprocess import Preprocess

__all__ = ["BLUE", "MARK", "RED", "Heat", "draw_lanes", "draw_places", "heat_colours"]

RED, BLUE = (0.84, 0.18, 0.12), (0.12, 0.38, 0.84)
OPAQUE = 0.85
"""Opacity of the strongest colour."""
INK, SOFT, MARK = "#39424d", "#9aa3ad", "#f2b705"
LANES = 8  # channels of a signal that are drawn


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Heat:
    """One number for each place of an input, the scale on which it is drawn, and the places of the target."""

    values: NDArray[np.floating]
    """(*places)."""
    reach: float
    """The absolute value with the strongest colour."""
    signed: bool
    empty: bool = False
    """Whether no value is large enough to be drawn."""
    bare: bool = False
    """Whether the map is drawn alone, without the sample."""
    name: str = ""
    """Of the target."""
    area: NDArray[np.bool_] | None = None
    """The places of the target, (*places)."""
    point: tuple[int, ...] = ()
    """The place of the target."""
    box: tuple[float, ...] | None = None
    """Left, top, right, bottom of the target."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """From -1 to 1, the strongest colours; (*places).

        >>> Heat(values=np.array([0.5, -3.0]), reach=2.0, signed=True).shares.tolist()
        [0.25, -1.0]
        """
        if self.empty or self.reach <= 0:
            return np.zeros(self.values.shape)
        return np.asarray(self.values, np.float64).clip(-self.reach, self.reach) / self.reach


def heat_colours(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares from -1 to 1 as red, green, blue and opacity; (...) -> (..., 4).

    >>> heat_colours(np.array([0.0, 1.0]))[:, 3].tolist()
    [0.0, 0.85]
    """
    colours = np.where(shares[..., None] >= 0, np.array(RED), np.array(BLUE))
    return np.concatenate([colours, OPAQUE * np.abs(shares)[..., None]], axis=-1)


def draw_places(axes: Any, payload: Payload | None, decoded: Tensor, preprocess: Preprocess | None, heat: Heat) -> None:
    """A map over an image (C, H, W), over curves (C, L), or, of inputs without channels, as bars."""
    if heat.values.ndim == 2:
        draw_image(axes, decoded, heat)
    elif decoded.ndim == 2:
        draw_lanes(axes, decoded.double().numpy(), heat)
    else:
        draw_bars(axes, heat)


def draw_image(axes: Any, decoded: Tensor, heat: Heat) -> None:
    if not heat.bare:
        axes.imshow(grey_image(decoded), cmap="gray", vmin=0, vmax=1, interpolation="none")
    axes.imshow(heat_colours(heat.shares), interpolation="none")
    mark_places(axes, heat)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def grey_image(decoded: Tensor) -> NDArray[np.float64]:
    """The brightness of an image (C, H, W), from 0 to 1; integers by their range, other numbers by their own."""
    planes = decoded.double().numpy()
    planes = planes[: 3 if len(planes) == 3 else 1]
    if decoded.is_floating_point():
        low, high = float(planes.min()), float(planes.max())
        shown = (planes - low) / (high - low or 1.0)
    else:
        shown = planes / (65535 if decoded.element_size() > 1 else 255)
    grey = np.tensordot(np.array([0.299, 0.587, 0.114]), shown, 1) if len(shown) == 3 else shown[0]
    return np.asarray(grey)


def mark_places(axes: Any, heat: Heat) -> None:
    """The outline, the place or the box of the target over a map with two axes."""
    from matplotlib.patches import Rectangle

    area = heat.area
    if area is not None and area.shape == heat.values.shape and area.any() and not area.all():
        axes.contour(area, levels=[0.5], colors=[MARK], linewidths=1.4)
    if len(heat.point) == 2:
        axes.plot(heat.point[1], heat.point[0], "o", markersize=9, fillstyle="none", color=MARK, markeredgewidth=2)
    if heat.box is not None:
        left, top, right, bottom = heat.box
        size = right - left, bottom - top
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), *size, fill=False, edgecolor=MARK, linewidth=1.8))


def draw_lanes(
    axes: Any, rows: NDArray[np.floating], heat: Heat, *, names: Sequence[str] = (), step: float = 1.0, unit: str = ""
) -> None:
    """A map behind curves (C, L), each in a lane of its own; `step` is that of the horizontal axis, in `unit`."""
    shown = rows[:LANES]
    num, length = len(shown), rows.shape[-1]
    extent = (-0.5 * step, (length - 0.5) * step, 0, num)
    axes.imshow(heat_colours(heat.shares[None]), extent=extent, aspect="auto", interpolation="none")
    times = np.arange(length) * step
    for k, row in enumerate(shown):
        finite = row[np.isfinite(row)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        lane = (row - low) / (high - low) if high > low else np.full(length, 0.5)
        axes.plot(times, num - 1 - k + 0.1 + 0.8 * lane, color=INK, linewidth=1.1)
    if heat.area is not None and heat.area.shape == (length,) and not heat.area.all():
        axes.fill_between(times, num, num + 0.06 * num, where=heat.area, color=MARK, step="mid", linewidth=0)
    if len(heat.point) == 1:
        axes.axvline(heat.point[0] * step, color=MARK, linewidth=1.8)
    labels = list(names[:num]) if len(names) >= num else ([str(k) for k in range(num)] if num > 1 else [""])
    axes.set(xlim=extent[:2], ylim=(0, num * 1.06), xlabel=unit or "sample", yticks=num - 0.5 - np.arange(num))
    axes.set_yticklabels(labels, parse_math=False)
    axes.tick_params(axis="y", length=0)


def draw_bars(axes: Any, heat: Heat) -> None:
    """A bar for each place, for inputs of a kind that has no drawing of its own."""
    colours = heat_colours(heat.shares)
    axes.bar(np.arange(heat.values.size), 0 if heat.empty else heat.values.ravel(), color=colours.reshape(-1, 4))
    axes.set(xlabel="place", ylim=(-heat.reach if heat.signed else 0, heat.reach or 1))
