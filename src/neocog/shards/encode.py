"""A record's payload as the bytes in a shard: encoded ones stay as they are, arrays are stored without loss."""

import io
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from neocog.dataset.record import Modality, Payload
from neocog.errors import DataError
from neocog.modalities.audio.wav import is_wav
from neocog.modalities.audio.waveform import decodable
from neocog.modalities.image.decode import picture_pixels
from neocog.modalities.image.pages import num_pages
from neocog.modalities.image.tiff import as_pillow_shows, is_tiff
from neocog.shards.contents import array_bytes, read_array

__all__ = ["encode"]

MAX_PIXELS = 2**28
JPEG_QUALITY = 95
NO_RESIZE = "Leave --resize out."
STARTS = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"BM", "bmp"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"II+\0", "tif"),
    (b"MM\0+", "tif"),
    (b"\x93NUMPY", "npy"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
)
RESIZED = ("L", "LA", "RGB", "RGBA")
DEEP = ("I;16", "I;16L", "I;16B", "I;16N")


def encode(payload: Payload, modality: Modality, resize: int | None, where: str) -> tuple[str, bytes]:
    """An extension and the bytes; with `resize`, an image's short side is at most that many pixels.

    Raises DataError for what can't be decoded.

    >>> extension, content = encode(np.zeros((4, 6), np.uint8), "image", None, "a record")
    >>> extension, Image.open(io.BytesIO(content)).size
    ('png', (6, 4))
    """
    if isinstance(payload, str):
        return "txt", text_bytes(payload, where)
    if not isinstance(payload, bytes):
        return encode_pixels(payload, resize, where) if modality == "image" else ("npy", array_bytes(payload))
    extension = find_extension(payload, where)
    if extension == "npy":
        array = read_array(payload, where)
        return encode_pixels(array, resize, where) if modality == "image" and resize else ("npy", payload)
    if modality == "audio":
        check_sound(payload, where)
    else:
        picture_pixels(payload, where, max_pixels=MAX_PIXELS, convert=True)
    return scale_payload(payload, extension, resize, where) if resize else (extension, payload)


def text_bytes(text: str, where: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        received = repr(text[error.start])
        raise DataError("A text must be Unicode.", received=received, where=where, fix="Convert it.") from error


def find_extension(payload: bytes, where: str) -> str:
    """The kind of file, by its first bytes."""
    for start, extension in STARTS:
        if payload.startswith(start):
            return extension
    if is_wav(payload):
        return "wav"
    if payload.startswith(b"RIFF") and payload[8:12] == b"WEBP":
        return "webp"
    if payload[:1] == b"\xff" and payload[1:2] >= b"\xe0":  # the frame mark of MPEG audio
        return "mp3"
    rule = f"{where} is neither an image nor a sound that is known: it starts with {payload[:8]!r}."
    raise DataError(rule, fix="Remove it.")


def check_sound(payload: bytes, where: str) -> None:
    """Raises DataError for a sound that does not decode to its end."""
    try:
        soundfile.read(io.BytesIO(decodable(payload)))
    except Exception as error:  # a damaged header can lead to anything
        raise DataError(f"{where} is truncated or damaged: {error}.", fix="Replace or remove it.") from error


def encode_pixels(pixels: NDArray[Any], resize: int | None, where: str) -> tuple[str, bytes]:
    """Pixels (H, W) or (H, W, C) as PNG if it holds them exactly, which is grey and 8-bit RGB, else as an array."""
    flat = pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels
    exact = (flat.ndim == 2 and flat.dtype in (np.uint8, np.uint16)) or (
        flat.shape[2:] == (3,) and flat.dtype == np.uint8
    )
    if exact:
        image = Image.fromarray(flat)
        return "png", image_bytes(scale(image, resize) if resize else image, "png")
    if resize and min(pixels.shape[:2]) > resize:
        rule, received = "Only images of 8 bits, or grey ones of 16, are resized.", f"{pixels.dtype} {pixels.shape}"
        raise DataError(rule, received=received, where=where, fix=NO_RESIZE)
    return "npy", array_bytes(pixels)


def scale_payload(payload: bytes, extension: str, resize: int, where: str) -> tuple[str, bytes]:
    """An image with its short side scaled down, turned as its EXIF says; a small one as it is."""
    pages = num_pages(payload)
    if pages > 1:
        rule = f"A file that is resized must hold one image. {where} has {pages} pages or frames: one would be kept."
        raise DataError(rule, fix="Save each as a file of its own, or leave --resize out.")
    if is_tiff(payload) and not as_pillow_shows(payload):
        pixels = picture_pixels(payload, where, max_pixels=MAX_PIXELS, convert=False)
        return (extension, payload) if min(pixels.shape[:2]) <= resize else encode_pixels(pixels, resize, where)
    with Image.open(io.BytesIO(payload)) as opened:
        if min(opened.size) <= resize:
            return extension, payload
        image = ImageOps.exif_transpose(opened)
    if image.mode in ("P", "1"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB" if image.mode == "P" else "L")
    if image.mode not in RESIZED + DEEP:
        rule = "Only grey and RGB images, with or without transparency, are resized."
        raise DataError(rule, received=image.mode, where=where, fix=f"Convert it. {NO_RESIZE}")
    kind = "jpg" if extension == "jpg" else "png"
    return kind, image_bytes(scale(image, resize), kind)


def scale(image: Image.Image, resize: int) -> Image.Image:
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


def image_bytes(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "jpg":
        image.save(file, "jpeg", quality=JPEG_QUALITY)
    else:
        image.save(file, "png")
    return file.getvalue()
