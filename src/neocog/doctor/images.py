"""Faults of a single image, as a file and as pixels."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.dataset.file_types import FILE_TYPES, SUFFIXES, file_type
from neocog.doctor import kinds
from neocog.doctor.facts import Facts, digest
from neocog.doctor.kinds import Kind
from neocog.doctor.near import samples_of, thumbs_of
from neocog.errors import DataError
from neocog.modalities.image.decode import MIN_SIDE, decode_image
from neocog.modalities.image.pages import num_pages
from neocog.modalities.image.pillow import identify
from neocog.modalities.image.pixels import UnsupportedImageError

__all__ = ["add_thumbs", "examine_array", "examine_arrays", "examine_encoded", "file_kind"]

ORIENTATION = 0x0112
SCAN = b"\xff\xda"  # begins a JPEG file's image; its EXIF data comes before


def file_kind(start: bytes) -> str | None:
    """The format of an image, by the first bytes of its file; None if it is not one that is read.

    >>> file_kind(b"\\x89PNG\\r\\n\\x1a\\n"), file_kind(b"<html>")
    ('PNG', None)
    """
    kind = file_type(start)
    return kind if kind and FILE_TYPES[kind].kind == "image" else None


def examine_encoded(payload: bytes, key: str, max_pixels: int) -> Facts:
    """Decode an encoded image to its last row, as training does, and look at it."""
    facts = Facts()
    try:
        pixels = decode_image(payload, key, max_pixels=max_pixels, convert=False)
    except DataError as error:
        kind, detail, converted = explain_refusal(payload, key, max_pixels, error)
        facts.fault(kind, detail)
        if converted is None:
            return facts
        pixels = converted
    look_at_file(payload, key, facts)
    return look_at_pixels(pixels, facts)


def explain_refusal(
    payload: bytes, key: str, max_pixels: int, error: DataError
) -> tuple[Kind, str, NDArray[Any] | None]:
    """Why an image was refused, details, and its pixels if it only has to be converted."""
    if not payload:
        return kinds.ZERO_BYTES, "", None
    image: Image.Image | None
    try:
        image = identify(payload)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return kinds.TOO_LARGE, str(error), None
    except Exception:  # a damaged header can raise anything; of some TIFFs Pillow knows nothing
        image = None
    if image and image.width * image.height > max_pixels:
        return kinds.TOO_LARGE, f"{image.width} x {image.height}", None
    if image and min(image.size) < MIN_SIDE:
        return kinds.TOO_SMALL, f"{image.width} x {image.height}", None
    try:
        pixels = decode_image(payload, key, max_pixels=max_pixels, convert=True)
    except DataError:
        damage = kinds.DAMAGED if file_kind(payload) else kinds.NOT_AN_IMAGE
        return kinds.UNUSUAL_PIXELS if isinstance(error, UnsupportedImageError) else damage, str(error), None
    if image and image.mode == "CMYK":
        return kinds.CMYK, "", pixels
    halved = image and image.format != "TIFF" and ";16" in str(getattr(image, "tile", ""))  # TIFFs keep all 16 bits
    return kinds.DEEP_COLOUR if halved else kinds.TRANSPARENT, "", pixels


def look_at_file(payload: bytes, key: str, facts: Facts) -> None:
    """Whether name and content agree, and what a file says of its image."""
    kind, ending = file_kind(payload), os.path.splitext(key)[1].lower()  # noqa: PTH122, four times as fast as a Path
    if kind is None:
        return
    if ending in SUFFIXES["image"] and ending not in FILE_TYPES[kind].suffixes:
        facts.fault(kinds.OTHER_FORMAT, f"it is {kind}")
    facts.pages = num_pages(payload)
    if facts.pages > 1:
        facts.fault(kinds.FRAMES, f"{facts.pages} of them")
    if kind in ("BMP", "NPY") or (kind == "JPEG" and b"Exif" not in payload[: payload.find(SCAN)]):
        return  # never turned; this saves a look at most files
    try:
        with identify(payload) as image:
            turned = image.getexif().get(ORIENTATION, 1) if kind != "PNG" or "exif" in image.info else 1
    except Exception:  # other parts of a file with intact pixels may be broken
        return
    if turned in range(2, 9):
        facts.fault(kinds.TURNED, f"orientation {turned}")


def look_at_pixels(pixels: NDArray[Any], facts: Facts) -> Facts:
    """Size and samples of decoded pixels, (H, W, C); `add_thumbs` does the rest for many at once."""
    facts.size = (*pixels.shape[:2], pixels.shape[2] if pixels.ndim == 3 else 1)
    facts.depth = 8 * pixels.itemsize
    facts.samples = samples_of(pixels[None])
    facts.digest = digest(facts.samples, (pixels.dtype.str, pixels.shape))
    if is_constant(facts.samples[0]) and is_constant(pixels):
        facts.fault(kinds.CONSTANT_IMAGE)
    return facts


def add_thumbs(many: list[Facts]) -> None:
    """Make the small images of these records, those of one shape together, from their samples."""
    shapes: dict[tuple[int, ...], list[Facts]] = {}
    for facts in many:
        if facts.samples is not None:
            shapes.setdefault((facts.depth, *facts.samples.shape), []).append(facts)
    for alike in shapes.values():
        thumbs, clear = thumbs_of(np.concatenate([f.samples for f in alike if f.samples is not None]))
        for facts, thumb, has_contrast in zip(alike, thumbs, clear.tolist(), strict=True):
            facts.thumb, facts.samples = thumb if has_contrast else None, None


def is_constant(pixels: NDArray[Any]) -> bool:
    """Whether all pixels have one colour. Two corners save most images the long look."""
    return pixels[0, 0].tolist() == pixels[-1, -1].tolist() and bool((pixels == pixels[:1, :1]).all())


def examine_array(payload: NDArray[Any] | str) -> Facts:
    """Look at pixels that came as an array, (H, W) or (H, W, C)."""
    pixels = np.asarray(payload)
    if pixels.ndim not in (2, 3) or pixels.dtype not in (np.uint8, np.uint16):
        return Facts().fault(kinds.UNUSUAL_PIXELS, f"{pixels.dtype} {pixels.shape}")
    if min(pixels.shape[:2]) < MIN_SIDE:
        return Facts().fault(kinds.TOO_SMALL, f"{pixels.shape[1]} x {pixels.shape[0]}")
    return look_at_pixels(pixels, Facts())


def examine_arrays(images: NDArray[Any]) -> list[Facts]:
    """Look at many images of one array at once; (N, H, W) or (N, H, W, C)."""
    size = (*images.shape[1:3], images.shape[3] if images.ndim == 4 else 1)
    thumbs, clear = thumbs_of(samples_of(images))
    many = []
    for image, thumb, has_contrast in zip(images, thumbs, clear.tolist(), strict=True):
        facts = Facts(digest=digest(image), size=size, depth=8 * images.itemsize)
        if has_contrast:
            facts.thumb = thumb
        elif is_constant(image):
            facts.fault(kinds.CONSTANT_IMAGE)
        many.append(facts)
    return many
