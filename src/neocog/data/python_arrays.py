"""Arrays, tensors and lists of inputs with their labels, and what a single one of them is."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from neocog.data.python_records import Given
from neocog.dataset.labels import plain_array, plain_labels
from neocog.dataset.record import Modality, Payload
from neocog.errors import DataError
from neocog.modalities.image.decode import pil_pixels
from neocog.modalities.image.pixels import check_array

__all__ = ["given_pair", "payload_bytes", "payload_of"]

PIXELS = (np.dtype(np.uint8), np.dtype(np.uint16))


def given_pair(inputs: Any, labels: Any, where: str) -> Given:
    """Inputs and labels: pictures of 8 or 16 bits, signals of floats (N, L) or (N, C, L), texts, or a list of these.

    Raises DataError for what is none of these, and where the counts differ.
    """
    numbers = plain_labels(labels, where)
    array = plain_array(inputs, where)
    if array is None and not isinstance(inputs, list | tuple):
        raise DataError(
            "Inputs are a NumPy array, a torch tensor, or a list of texts or of these. Received: "
            f"{type(inputs).__name__}, in {where}. Convert them with numpy.asarray."
        )
    count = len(inputs) if array is None or array.ndim else 0
    if not count or count != len(numbers):
        raise DataError(
            f"Each input needs one label, and there must be some. Received: {count:,} inputs, {len(numbers):,} labels, "
            f"in {where}."
        )
    if array is None or array.dtype.kind in "OU":
        listed = inputs if array is None else array.tolist()
        return listed_inputs(listed, numbers, where)
    if array.dtype in PIXELS:
        pixels = channels_last(array, 1, torch_order=isinstance(inputs, torch.Tensor))
        return Given(
            modality="image", labels=numbers, read=lambda k: pixels[k], content=lambda: iter(()), pictures=pixels
        )
    if array.dtype.kind != "f" or array.ndim not in (2, 3):
        raise no_payload(f"{array.dtype} {array.shape}", where, batch="N, ")
    return Given(
        modality="signal",
        labels=numbers,
        read=lambda k: signal(array[k], f"{where}, record {k}"),
        content=lambda: (np.ascontiguousarray(row).tobytes() for row in array),
    )


def listed_inputs(inputs: Sequence[Any], labels: Any, where: str) -> Given:
    """A list whose members are texts, arrays, tensors or pictures, all of one kind."""
    modality = payload_of(inputs[0], f"{where}, record 0")[0]
    read = partial(read_listed, inputs, modality, where)
    return Given(
        modality=modality,
        labels=labels,
        read=read,
        content=lambda: (payload_bytes(read(k)) for k in range(len(inputs))),
    )


def read_listed(inputs: Sequence[Any], modality: Modality, where: str, index: int) -> Payload:
    return payload_of(inputs[index], f"{where}, record {index}", modality)[1]


def payload_of(item: Any, where: str, expected: Modality | None = None) -> tuple[Modality, Payload]:
    """What one input is, and its payload. Raises DataError for what is nothing that can be learned from."""
    found: tuple[Modality, Payload]
    if isinstance(item, str):
        found = "text", str(item)
    elif isinstance(item, Image.Image):
        found = "image", pillow_pixels(item, where)
    else:
        found = array_payload(item, where)
    if expected and found[0] != expected:
        raise DataError(f"All records must be of one kind. Received: {found[0]} among {expected}, at {where}.")
    return found


def array_payload(item: Any, where: str) -> tuple[Modality, Payload]:
    array = plain_array(item, where)
    if array is not None and array.dtype in PIXELS and array.ndim in (2, 3):
        pixels = channels_last(array, 0, torch_order=isinstance(item, torch.Tensor))
        check_array(pixels.shape, pixels.dtype, where)
        return "image", pixels
    if array is None or array.dtype.kind != "f" or array.ndim not in (1, 2):
        received = type(item).__name__ if array is None else f"{array.dtype} {array.shape}"
        raise no_payload(received, where)
    return "signal", signal(array, where)


def signal(array: NDArray[Any], where: str) -> NDArray[np.float32]:
    """(L,) or (C, L) as (C, L) float32."""
    if not array.size:
        raise DataError(f"A signal needs at least one value. Received: {array.shape}, at {where}. Remove it.")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which preprocessing refuses
        return np.atleast_2d(array).astype(np.float32)


def channels_last(pictures: NDArray[Any], first: int, *, torch_order: bool) -> NDArray[Any]:
    """(..., C, H, W) as (..., H, W, C), where `first` is the axis at which a picture's own axes start.

    A tensor's channels come first, unless there would be more of them than rows or columns; an array's come first only
    where it is grey or RGB so and not otherwise.
    """
    if pictures.ndim != first + 3:
        return pictures
    channels, *others = pictures.shape[first:]
    grey_or_rgb = channels in (1, 3)
    moves = grey_or_rgb or channels < min(others) if torch_order else grey_or_rgb and others[1] not in (1, 3)
    return np.moveaxis(pictures, first, -1) if moves else pictures


def pillow_pixels(image: Image.Image, where: str) -> NDArray[Any]:
    try:
        return pil_pixels(image, where, convert=False)
    except DataError:
        raise
    except Exception as error:  # a picture that is still in its file is decoded here, and damage can be anything
        raise DataError(f"A picture must decode to its last row. {where} does not: {error}. Replace it.") from error


def payload_bytes(payload: Payload) -> bytes:
    """A payload for a fingerprint."""
    if isinstance(payload, str):
        return payload.encode(errors="surrogatepass") + b"\0"
    return payload if isinstance(payload, bytes) else np.ascontiguousarray(payload).tobytes()


def no_payload(received: str, where: str, batch: str = "") -> DataError:
    return DataError(
        f"Inputs are pictures ({batch}H, W), ({batch}H, W, C) or ({batch}C, H, W) of uint8 or uint16; signals "
        f"({batch}L) or ({batch}C, L) of floats; or texts. Received: {received}, at {where}. Give pictures as they are "
        "stored, 0..255, without ToTensor() or a division by 255."
    )
