"""Inputs as a reader of the report wants to see them: pictures, curves, spectrograms, texts."""

import io
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from neocog.data import Modality, Payload
from neocog.report.pictures import data_address, picture_address

__all__ = ["draw_input"]

MOST_LETTERS = 600


def draw_input(modality: Modality, payload: Payload, decoded: Tensor) -> str:
    """A `data:` address, or the text itself. `decoded` is what the network sees of it, not yet normalised."""
    if modality == "text":
        text = payload if isinstance(payload, str) else bytes(payload).decode(errors="replace")
        return text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS] + " ..."
    values = decoded.numpy()
    if modality == "image" and len(values) in (1, 3):
        return picture_address(values)
    if values.ndim == 2:
        return curve_address(values)
    if modality == "board":
        return picture_address(board(values))
    return picture_address(heat(values[0].T[::-1] if modality == "audio" else values[0]))


def board(planes: NDArray[Any]) -> NDArray[np.uint8]:
    """The stones, which both sets of features have as planes 0 and 1: own dark, others light; (3, 8 H, 8 W)."""
    colours = np.array([[222, 184, 120], [30, 30, 30], [245, 245, 245]], np.uint8)
    places = colours[(planes[0] > 0) + 2 * (planes[1] > 0)]
    return np.kron(places, np.ones((8, 8, 1), np.uint8)).transpose(2, 0, 1)


def heat(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values as colours from dark to bright; (H, W) -> (3, H, W)."""
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low or 1.0)
    return (colormaps["magma"](scaled)[:, :, :3] * 255).round().astype(np.uint8).transpose(2, 0, 1)


def curve_address(channels: NDArray[Any]) -> str:
    """Channels over time, at most eight of them, each a line; (C, L)."""
    figure = Figure(figsize=(2.4, 2.4), dpi=80)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    axes.plot(channels[:8].T, linewidth=1.1)
    axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return data_address(buffer.getvalue())
