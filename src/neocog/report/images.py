"""Images inside a page: the filters of a network."""

import numpy as np
from torch import nn

from neocog.modalities.draw import image_address

__all__ = ["filter_images"]


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
