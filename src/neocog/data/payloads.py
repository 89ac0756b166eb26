"""One input as Python objects hold it: its modality and its payload."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from neocog.dataset.labels import plain_array
from neocog.dataset.record import Modality, Payload
from neocog.errors import DataError
from neocog.modalities.image.decode import pil_pixels
from neocog.modalities.image.pixels import check_array

__all__ = ["AS_STORED", "PIXELS", "SHAPES", "as_signal", "channels_last", "payload_bytes", "payload_of"]

PIXELS = (np.dtype(np.uint8), np.dtype(np.uint16))
SHAPES = {
    many: f"Inputs are images ({many}H, W), ({many}H, W, C) or ({many}C, H, W) of uint8 or uint16; signals ({many}L) "
    f"or ({many}C, L) of floats; or texts."
    for many in ("", "N, ")
}
"""The kinds of one input, and of many at once."""
AS_STORED = "Give images as they are stored, 0..255, without ToTensor() or a division by 255."


def payload_of(item: Any, where: str, expected: Modality | None = None) -> tuple[Modality, Payload]:
    """The modality of one input, and its payload. Raises DataError for anything that can't be learned from."""
    array = plain_array(item, where)
    modality: Modality
    payload: Payload
    if isinstance(item, str):
        modality, payload = "text", str(item)
    elif isinstance(item, Image.Image):
        modality, payload = "image", pillow_pixels(item, where)
    elif array is not None and array.dtype in PIXELS and array.ndim in (2, 3):
        modality, payload = "image", channels_last(array, 0, torch_order=isinstance(item, torch.Tensor))
        check_array(payload.shape, payload.dtype, where)
    elif array is not None and array.dtype.kind == "f" and array.ndim in (1, 2):
        modality, payload = "signal", as_signal(array, where)
    else:
        received = type(item).__name__ if array is None else f"{array.dtype} {array.shape}"
        raise DataError(SHAPES[""], received=received, where=where, fix=AS_STORED)
    if expected and modality != expected:
        raise DataError("All samples must be of one kind.", received=f"{modality} among {expected}", where=where)
    return modality, payload


def as_signal(array: NDArray[Any], where: str) -> NDArray[np.float32]:
    """(L,) or (C, L) as (C, L) float32."""
    if not array.size:
        raise DataError("A signal needs at least one value.", received=str(array.shape), where=where, fix="Remove it.")
    with np.errstate(over="ignore"):  # values too large become infinite, which preprocessing refuses
        return np.atleast_2d(array).astype(np.float32)


def channels_last(images: NDArray[Any], first: int, *, torch_order: bool) -> NDArray[Any]:
    """(..., C, H, W) as (..., H, W, C), where `first` is the axis at which an image's own axes start.

    A tensor's channels come first, unless there would be more of them than rows or columns; an array's come first only
    if it is grey or RGB that way and not otherwise.
    """
    if images.ndim != first + 3:
        return images
    channels, *others = images.shape[first:]
    grey_or_rgb = channels in (1, 3)
    moves = grey_or_rgb or channels < min(others) if torch_order else grey_or_rgb and others[1] not in (1, 3)
    return np.moveaxis(images, first, -1) if moves else images


def pillow_pixels(image: Image.Image, where: str) -> NDArray[Any]:
    try:
        return pil_pixels(image, where, convert=False)
    except DataError:
        raise
    except Exception as error:  # an image that is still in its file is decoded here, and damage can be anything
        rule = f"An image must decode to its last row. {where} does not: {error}."
        raise DataError(rule, fix="Replace it.") from error


def payload_bytes(payload: Payload) -> bytes:
    """A payload for a fingerprint."""
    if isinstance(payload, str):
        return payload.encode(errors="surrogatepass") + b"\0"
    return payload if isinstance(payload, bytes) else np.ascontiguousarray(payload).tobytes()
