"""Samples as a reader of a report sees them: small images as `data:` addresses, curves, texts."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from neocog.dataset.record import Payload

__all__ = ["Drawing", "colour_map", "draw_curves", "draw_text", "image_address", "thumbnail"]

SIDE = 160  # pixels of the longer side of a thumbnail
EXCERPT, INPUT = 240, 600  # characters of a text: as it is stored, and as the network reads it
POINTS, CHANNELS = 160, 8  # of a curve


@dataclass(frozen=True, slots=True)
class Drawing:
    """A sample as an image, as curves or as text; empty if it can't be drawn."""

    address: str = ""  # a `data:` address
    curves: tuple[str, ...] = ()  # the points of each line within 100 x 40, as SVG writes them
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.address or self.curves or self.text)


def draw_text(payload: Payload, decoded: Tensor | None, name: str) -> Drawing:
    """A text, or its first characters; nothing of anything else."""
    if not isinstance(payload, str | bytes):
        return Drawing()
    text = payload if isinstance(payload, str) else payload.decode(errors="replace")
    most = EXCERPT if decoded is None else INPUT
    return Drawing(text=text[:most] + ("..." if len(text) > most else ""))


def image_address(pixels: NDArray[Any]) -> str:
    """Pixels (C, H, W) or (H, W) of 8 or 16 bits as a `data:` address."""
    return png_address(as_image(np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 else pixels))


def thumbnail(pixels: NDArray[Any], side: int = SIDE) -> str:
    """Pixels (H, W) or (H, W, C) as the address of a small image; channels beyond RGB are left out."""
    planes = np.atleast_3d(pixels)
    image = as_image(planes[:, :, : 3 if planes.shape[2] >= 3 else 1])
    image.thumbnail((side, side))
    return png_address(image)


def as_image(pixels: NDArray[Any]) -> Image.Image:
    """Pixels (H, W) or (H, W, C) of 8 or 16 bits as an image of 8."""
    shown = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
    return Image.fromarray(shown[:, :, 0] if shown.ndim == 3 and shown.shape[2] == 1 else shown)


def png_address(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def colour_map(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values as colours from dark to bright; (H, W) -> (3, H, W)."""
    from matplotlib import colormaps  # slow to import, and only reports draw

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
