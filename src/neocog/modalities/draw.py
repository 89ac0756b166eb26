"""Samples as a reader of a report sees them: small images as `data:` addresses, curves, texts."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.dataset.record import Payload

__all__ = ["Drawing", "curve_points", "draw_if_text", "heat_address", "image_address", "plot_address", "thumbnail"]

SIDE = 160  # pixels of a thumbnail's longer side
POINTS = 160  # of a curve
EXCERPT = 240  # characters of a text


@dataclass(frozen=True, slots=True)
class Drawing:
    """What there is to see of a sample: an image, a curve or a text, or nothing."""

    address: str = ""
    curve: str = ""
    """Points of a line within 100 x 40, as SVG writes them."""
    text: str = ""


def draw_if_text(payload: Payload, _: object) -> Drawing:
    """A text, or its first characters; nothing of anything else."""
    if not isinstance(payload, str):
        return Drawing()
    return Drawing(text=payload[:EXCERPT] + ("..." if len(payload) > EXCERPT else ""))


def image_address(pixels: NDArray[Any], side: int | None = None) -> str:
    """Pixels (C, H, W) or (H, W) of 8 or 16 bits as the `data:` address of a PNG; `side`: its longer one at most."""
    shown = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
    planes = np.moveaxis(shown, 0, -1) if shown.ndim == 3 else shown
    image = Image.fromarray(planes[:, :, 0] if planes.ndim == 3 and planes.shape[2] == 1 else planes)
    if side is not None:
        image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return png_address(buffer.getvalue())


def png_address(png: bytes) -> str:
    """A PNG file as a `data:` address."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def thumbnail(pixels: NDArray[Any]) -> str:
    """Pixels (H, W) or (H, W, C) as the address of a small image; channels beyond RGB are left out."""
    planes = pixels[:, :, None] if pixels.ndim == 2 else pixels
    planes = planes[:, :, :3] if planes.shape[2] >= 3 else planes[:, :, :1]
    return image_address(np.moveaxis(planes, 2, 0), SIDE)


def heat_address(values: NDArray[Any]) -> str:
    """Values (H, W) as colours from dark to bright."""
    from matplotlib import colormaps  # slow to import, and only reports draw

    low, high = float(values.min()), float(values.max())
    colours = colormaps["magma"]((values - low) / (high - low or 1.0))[:, :, :3]
    return image_address((colours * 255).round().astype(np.uint8).transpose(2, 0, 1))


def plot_address(channels: NDArray[Any]) -> str:
    """Channels over time (C, L), at most eight of them, each a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # as above
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.4, 2.4), dpi=80)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    axes.plot(channels[:8].T, linewidth=1.1)
    axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return png_address(buffer.getvalue())


def curve_points(values: NDArray[Any]) -> str:
    """The lowest and highest value of each part of a line, within 100 x 40; NaN and infinity are left out.

    >>> curve_points(np.array([0.0, 1.0]))
    '0.0,39.0 50.0,1.0'
    """
    parts = [part[np.isfinite(part)] for part in np.array_split(values, min(POINTS, max(1, len(values))))]
    known = [part for part in parts if part.size]
    if not known:
        return ""
    low = float(min(part.min() for part in known))
    reach = float(max(part.max() for part in known)) - low or 1.0
    points = []
    for place, part in enumerate(parts):
        for value in dict.fromkeys((part.min(), part.max())) if part.size else ():
            points.append(f"{100 * place / len(parts):.1f},{39 - 38 * (float(value) - low) / reach:.1f}")
    return " ".join(points)
