"""Applying a named filter to an image, and showing the result as one."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.errors import ConfigError, GeometryError, did_you_mean
from neocog.reference.axes import Array, floats
from neocog.reference.cross_correlation import cross_correlate
from neocog.reference.filters import FILTERS, find_filter

__all__ = ["BORDERS", "apply_filter", "grey", "shown"]

BORDERS = {"edge": "edge", "reflect": "reflect", "wrap": "wrap", "zero": "constant"}
"""Padding around an image: edge pixels repeated, mirrored, wrapped around, or black."""
FEW_TAPS = 25  # beyond, the frequency domain is faster
LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue look: ITU-R BT.601


def apply_filter(image: ArrayLike, name: str, border: str = "edge", **options: Any) -> Array:
    """The responses of a named filter at every pixel, each channel by itself.

    Whole numbers are first divided by the largest that their type holds, so that black is 0 and white 1; `FILTERS[name]
    .range` says between which numbers the responses then lie. They are neither rounded nor cut off; `shown` does that.
    Options: size (box, gaussian), sigma (gaussian), down and right (shift).
    Shapes: (H, W) or (H, W, C) -> the same. Raises ConfigError for an unknown name, border or option, GeometryError for
    another shape, or a kernel that reaches further than the image.

    >>> step = np.array([[0, 0, 255, 255]] * 3, np.uint8)
    >>> apply_filter(step, "sobel_x")[1].tolist()
    [0.0, 4.0, 4.0, 0.0]
    """
    kernels = find_filter(name, options).make(**options)
    if border not in BORDERS:
        raise ConfigError(f"There is no border {border!r}. {did_you_mean(border, BORDERS)}")
    pixels = unit_scale(image)
    reach = kernels[0].shape[0] // 2
    if reach >= min(pixels.shape[:2]):
        raise GeometryError(
            "A filter must not reach further than the image.",
            received=f"{name} with a kernel of {kernels[0].shape[0]} for {pixels.shape[0]}x{pixels.shape[1]}",
            fix=f"Use at most {2 * min(pixels.shape[:2]) - 1}.",
        )
    around = [(reach, reach), (reach, reach)] + [(0, 0)] * (pixels.ndim - 2)
    padded = np.pad(pixels, around, mode=BORDERS[border])  # type: ignore[call-overload]
    channels = np.moveaxis(padded.reshape(*padded.shape[:2], -1), 2, 0)[:, None]
    method = "direct" if kernels[0].size <= FEW_TAPS else "fft"
    found = [cross_correlate(channels, weights[None, None], method=method) for weights in kernels]
    responses = found[0] if len(found) == 1 else np.sqrt(sum(np.square(part) for part in found))
    return np.asarray(np.moveaxis(responses[:, 0], 0, 2).reshape(pixels.shape))


def unit_scale(image: ArrayLike) -> Array:
    """An image (H, W) or (H, W, C) with black as 0 and white as 1."""
    found = np.asarray(image)
    if found.ndim not in (2, 3) or found.size == 0:
        raise GeometryError("An image is (H, W) or (H, W, C).", received=f"{found.shape}")
    return floats(found) / np.iinfo(found.dtype).max if found.dtype.kind in "iu" else floats(found)


def grey(image: ArrayLike) -> Array:
    """How bright each pixel looks, 0..1; (H, W), (H, W, 1) or (H, W, 3) -> (H, W).

    >>> grey(np.array([[[255, 0, 0], [255, 255, 255]]], np.uint8)).round(3).tolist()
    [[0.299, 1.0]]
    """
    pixels = unit_scale(image)
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3):
        raise GeometryError("An image has 1 or 3 channels.", received=f"{pixels.shape}")
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return pixels.reshape(pixels.shape[:2])
    return np.asarray(pixels @ np.array(LUMA))


def shown(responses: ArrayLike, name: str, stretch: bool = False) -> NDArray[np.uint8]:
    """Responses as pixels of 8 bits.

    `FILTERS[name].shows` says what is black and what is white; beyond, it is cut off. The signed filters sobel_x,
    sobel_y and laplacian show 0 as middle grey, 128; sobel shows 0 as black and a step from black to white as white.
    With `stretch`, for these filters, the largest magnitude found takes the place of the fixed scale.
    Raises ConfigError if `stretch` would be ignored.

    >>> shown([[-4.0, 0.0, 2.0]], "sobel_x").tolist(), shown([[-4.0, 0.0, 2.0]], "identity").tolist()
    ([[0, 128, 191]], [[0, 0, 255]])
    """
    found, values = find_filter(name, {}), floats(responses)
    black, white = found.shows
    if stretch and not found.gradient:
        gradients = ", ".join(name for name, entry in FILTERS.items() if entry.gradient)
        raise ConfigError(f"stretch would be ignored: {name} keeps the image's own scale. It is for {gradients}.")
    if stretch and np.abs(values).max() > 1e-9:
        black, white = np.array([black, white]) / white * np.abs(values).max()
    return ((values - black) / (white - black) * 255).round().clip(0, 255).astype(np.uint8)
