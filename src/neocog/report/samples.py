"""Samples as a reader sees them: one function for each kind of data.

Each takes the payload as it is stored and, if there is one, its decoded form: the input of the network before it is
normalised, which is then what is drawn.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
from matplotlib import colormaps
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Modality, Payload
from neocog.modalities.image.decode import picture_pixels
from neocog.report.images import image_address, thumbnail

__all__ = ["Drawing", "draw_curves", "draw_sample"]

EXCERPT, INPUT = 240, 600  # characters of a text: as it is stored, and as the network reads it
POINTS, CHANNELS = 160, 8  # of a curve
MAX_PIXELS = 40_000_000
FRAMES = 2**21  # of a recording, from its beginning
BOARD = np.array([[222, 184, 120], [30, 30, 30], [245, 245, 245]], np.uint8)  # empty, own stone, other stone


@dataclass(frozen=True, slots=True)
class Drawing:
    """A sample as an image, as curves or as text; empty if it can't be drawn."""

    address: str = ""
    """A `data:` address."""
    curves: tuple[str, ...] = ()
    """The points of each line within 100 x 40, as SVG writes them."""
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.address or self.curves or self.text)


def draw_sample(modality: Modality, payload: Payload, decoded: Tensor | None = None, name: str = "") -> Drawing:
    """A sample of this kind. Raises DataError for an image that can't be decoded."""
    return DRAW[modality](payload, None if decoded is None else decoded.numpy(), name)


def draw_image(payload: Payload, values: NDArray[Any] | None, name: str) -> Drawing:
    if values is not None:
        return Drawing(image_address(values if len(values) in (1, 3) else colour_map(values[0])))
    if isinstance(payload, bytes):
        payload = picture_pixels(payload, name, max_pixels=MAX_PIXELS, convert=True)
    return Drawing(thumbnail(np.asarray(payload)))


def draw_signal(payload: Payload, values: NDArray[Any] | None, name: str) -> Drawing:
    return Drawing(curves=draw_curves(np.asarray(payload) if values is None else values))


def draw_audio(payload: Payload, values: NDArray[Any] | None, name: str) -> Drawing:
    """The spectrogram, with time to the right and frequency upwards, or the waveform."""
    if values is not None and values.ndim == 3:
        return Drawing(image_address(colour_map(values[0].T[::-1])))
    if values is None and isinstance(payload, bytes):
        with soundfile.SoundFile(io.BytesIO(payload)) as file:
            values = file.read(FRAMES, dtype="float32", always_2d=True).T[:1]
    return Drawing(curves=draw_curves(values)) if values is not None else Drawing()


def draw_text(payload: Payload, values: NDArray[Any] | None, name: str) -> Drawing:
    text = payload if isinstance(payload, str) else bytes(payload).decode(errors="replace")
    most = EXCERPT if values is None else INPUT
    return Drawing(text=text[:most] + ("..." if len(text) > most else ""))


def draw_board(payload: Payload, values: NDArray[Any] | None, name: str) -> Drawing:
    """The stones, which all sets of features have as planes 0 and 1; 8 x 8 pixels for each point."""
    planes = np.asarray(payload) if values is None else values
    points = BOARD[(planes[0] > 0) + 2 * (planes[1] > 0)]
    return Drawing(image_address(np.kron(points, np.ones((8, 8, 1), np.uint8)).transpose(2, 0, 1)))


DRAW: dict[Modality, Callable[[Payload, NDArray[Any] | None, str], Drawing]] = {
    "image": draw_image,
    "signal": draw_signal,
    "audio": draw_audio,
    "text": draw_text,
    "board": draw_board,
}


def colour_map(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values as colours from dark to bright; (H, W) -> (3, H, W)."""
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low or 1.0)
    return (colormaps["magma"](scaled)[:, :, :3] * 255).round().astype(np.uint8).transpose(2, 0, 1)


def draw_curves(channels: NDArray[Any]) -> tuple[str, ...]:
    """The first channels of a signal (C, L) as lines within 100 x 40, on one scale.

    A point is the lowest or highest value of one of at most 160 parts; NaN and infinity are left out.

    >>> draw_curves(np.array([[0.0, 1.0]]))
    ('0.0,39.0 50.0,1.0',)
    """
    rows = channels.reshape(len(channels), -1)[:CHANNELS]
    finite = rows[np.isfinite(rows)]
    if not finite.size:
        return ()
    low = float(finite.min())
    reach = float(finite.max()) - low or 1.0
    lines = []
    for row in rows:
        parts = [part[np.isfinite(part)] for part in np.array_split(row, min(POINTS, len(row)))]
        points = []
        for i, part in enumerate(parts):
            for value in dict.fromkeys((part.min(), part.max())) if part.size else ():
                points.append(f"{100 * i / len(parts):.1f},{39 - 38 * (float(value) - low) / reach:.1f}")
        lines.append(" ".join(points))
    return tuple(line for line in lines if line)
