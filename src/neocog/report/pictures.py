"""Pictures inside the page: small PNGs as data addresses."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

__all__ = ["data_address", "filter_pictures", "picture_address"]


def picture_address(pixels: NDArray[Any]) -> str:
    """Pixels (C, H, W) or (H, W) of 8 or 16 bits as a `data:` address."""
    shown = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
    planes = np.moveaxis(shown, 0, -1) if shown.ndim == 3 else shown
    image = Image.fromarray(planes[:, :, 0] if planes.ndim == 3 and planes.shape[2] == 1 else planes)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return data_address(buffer.getvalue())


def data_address(png: bytes) -> str:
    """A PNG file as a `data:` address."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def filter_pictures(model: nn.Module, most: int = 64) -> tuple[str, list[str]]:
    """The name of the first convolution, and its kernels as pictures: RGB where it reads three channels, else grey.

    All kernels share one scale, symmetric around zero: mid-grey is no weight.
    """
    first = next(((name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d)), None)
    if first is None:
        return "", []
    name, layer = first
    weight = layer.weight.detach().cpu().numpy()
    reach = float(np.abs(weight).max()) or 1.0
    pixels = np.round((weight / reach + 1) * 127.5).astype(np.uint8)
    shown = pixels if pixels.shape[1] == 3 else pixels[:, :1]
    return name, [picture_address(kernel) for kernel in shown[:most]]
