"""Images inside a page: small PNGs as `data:` addresses."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

__all__ = ["filter_images", "image_address", "thumbnail"]

SIDE = 160  # pixels of the longer side of a thumbnail


def image_address(pixels: NDArray[Any]) -> str:
    """Pixels (C, H, W) or (H, W) of 8 or 16 bits as a `data:` address."""
    shown = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
    planes = np.moveaxis(shown, 0, -1) if shown.ndim == 3 else shown
    image = Image.fromarray(planes[:, :, 0] if planes.ndim == 3 and planes.shape[2] == 1 else planes)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def thumbnail(pixels: NDArray[Any]) -> str:
    """Pixels (H, W) or (H, W, C) as the address of a small image; channels beyond RGB are left out."""
    planes = pixels[:, :, None] if pixels.ndim == 2 else pixels
    planes = planes[:, :, :3] if planes.shape[2] >= 3 else planes[:, :, :1]
    small = planes if planes.dtype == np.uint8 else (planes // 257).astype(np.uint8)
    image = Image.fromarray(small[:, :, 0] if small.shape[2] == 1 else small)
    image.thumbnail((SIDE, SIDE))
    drawn = np.asarray(image)
    return image_address(drawn if drawn.ndim == 2 else np.moveaxis(drawn, 2, 0))


def filter_images(model: nn.Module, most: int = 64) -> tuple[str, list[str]]:
    """The name of the first convolution, and its kernels as images: RGB if it reads three channels, else grey.

    All kernels share one scale, symmetric around zero: mid-grey is a weight of zero.
    """
    first = next(((name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        return "", []
    name, layer = first
    weight = layer.weight.detach().cpu().numpy()
    reach = float(np.abs(weight).max()) or 1.0
    pixels = np.round((weight / reach + 1) * 127.5).astype(np.uint8)
    shown = pixels if pixels.shape[1] == 3 else pixels[:, :1]
    return name, [image_address(kernel) for kernel in shown[:most]]
