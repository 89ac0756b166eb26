"""A record's payload as the bytes that a shard keeps: encoded ones as they are, arrays without any loss."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from neocog.dataset.file_types import FILE_TYPES, file_type
from neocog.dataset.record import Modality, Payload
from neocog.errors import DataError
from neocog.modalities.audio.wav import is_wav
from neocog.modalities.image.decode import decode_image
from neocog.modalities.image.pages import num_pages
from neocog.modalities.image.tiff import as_pillow_shows, is_tiff
from neocog.modalities.table import MODALITIES
from neocog.shards.contents import array_bytes, read_array

__all__ = ["encode"]

MAX_PIXELS = 2**28
JPEG_QUALITY = 95
RESIZED = ("L", "LA", "RGB", "RGBA")
DEEP = ("I;16", "I;16L", "I;16B", "I;16N")


def encode(payload: Payload, modality: Modality, resize: int | None, where: str) -> tuple[str, bytes]:
    """An extension and the bytes; with `resize`, a picture's short side is at most that many pixels.

    Raises DataError for what can't be decoded.

    >>> extension, content = encode(np.zeros((4, 6), np.uint8), "image", None, "a record")
    >>> extension, Image.open(io.BytesIO(content)).size
    ('png', (6, 4))
    """
    kind = MODALITIES[modality]
    if isinstance(payload, str):
        return "txt", text_bytes(payload, where)
    if not isinstance(payload, bytes):
        return encode_pixels(payload, resize, where) if kind.resizable else ("npy", array_bytes(payload))
    extension = extension_of(payload, where)
    if extension == "npy":
        array = read_array(payload, where)
        return encode_pixels(array, resize, where) if kind.resizable and resize else ("npy", payload)
    if kind.check_encoded is not None:
        kind.check_encoded(payload, where)
    return smaller(payload, extension, resize, where) if resize else (extension, payload)


def text_bytes(text: str, where: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"A text must be Unicode. {where} holds {text[error.start]!r}. Convert it.") from error


def extension_of(payload: bytes, where: str) -> str:
    """The kind of file, by its first bytes."""
    kind = "WAV" if is_wav(payload) else file_type(payload[:16])
    if kind:
        return FILE_TYPES[kind].suffixes[0].removeprefix(".")
    if payload[:1] == b"\xff" and payload[1:2] >= b"\xe0":  # the frame mark of MPEG audio
        return "mp3"
    raise DataError(
        f"{where} is neither a picture nor a sound that is known: it starts with {payload[:8]!r}. Remove it."
    )


def encode_pixels(pixels: NDArray[Any], resize: int | None, where: str) -> tuple[str, bytes]:
    """Pixels (H, W) or (H, W, C) as PNG where it holds them exactly, which is grey and 8-bit RGB, else as an array."""
    flat = pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels
    exact = (flat.ndim == 2 and flat.dtype in (np.uint8, np.uint16)) or (
        flat.shape[2:] == (3,) and flat.dtype == np.uint8
    )
    if exact:
        image = Image.fromarray(flat)
        return "png", saved(scaled(image, resize) if resize else image, "png")
    if resize and min(pixels.shape[:2]) > resize:
        raise DataError(
            f"Pictures of 8 bits, or grey ones of 16, are resized. {where} is {pixels.dtype} {pixels.shape}. Leave "
            "--resize out."
        )
    return "npy", array_bytes(pixels)


def smaller(payload: bytes, extension: str, resize: int, where: str) -> tuple[str, bytes]:
    """A picture with its short side scaled down, turned as its EXIF says; one that is small already as it is."""
    pages = num_pages(payload)
    if pages > 1:
        raise DataError(
            f"A file that is resized must hold one image. {where} has {pages} pages or frames, of which only the first "
            "would be kept. Save each as a file of its own, or leave --resize out."
        )
    if is_tiff(payload) and not as_pillow_shows(payload):
        pixels = decode_image(payload, where, max_pixels=MAX_PIXELS, convert=False)
        return (extension, payload) if min(pixels.shape[:2]) <= resize else encode_pixels(pixels, resize, where)
    with Image.open(io.BytesIO(payload)) as opened:
        if min(opened.size) <= resize:
            return extension, payload
        image = ImageOps.exif_transpose(opened)
    if image.mode in ("P", "1"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB" if image.mode == "P" else "L")
    if image.mode not in RESIZED + DEEP:
        raise DataError(
            f"Grey and RGB pictures are resized, with or without transparency. {where} is {image.mode}. Convert it, or "
            "leave --resize out."
        )
    kind = "jpg" if extension == "jpg" else "png"
    return kind, saved(scaled(image, resize), kind)


def scaled(image: Image.Image, resize: int) -> Image.Image:
    """The short side as `resize` pixels, antialiased; never larger."""
    width, height = image.size
    short = min(width, height)
    if short <= resize:
        return image
    size = max(1, round(width * resize / short)), max(1, round(height * resize / short))
    if image.mode not in DEEP:
        return image.resize(size, Image.Resampling.BILINEAR)
    # Pillow scales 16 bits exactly only as floating-point numbers.
    floats = Image.fromarray(np.asarray(image).astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return Image.fromarray(np.round(np.asarray(floats)).clip(0, 0xFFFF).astype(np.uint16))


def saved(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "jpg":
        image.save(file, "jpeg", quality=JPEG_QUALITY)
    else:
        image.save(file, "png")
    return file.getvalue()
