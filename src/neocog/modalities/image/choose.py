"""The settings of image preprocessing; what they leave open is chosen from the images and the network."""

from collections import Counter
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from neocog.dataset.record import Record, Source
from neocog.errors import ConfigError, DataError
from neocog.modalities.choose import Choices, read_headers, spread_evenly
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.image.decode import image_header
from neocog.modalities.image.pages import HINT, SeveralPages
from neocog.modalities.image.pixels import Header, Size, array_header, array_pixels
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.table import MODALITIES
from neocog.settings import SETTINGS, whole_number

__all__ = ["ImageConfig", "choose_image", "find_pages"]


def height_width(value: object) -> object:
    """`32x48` or `32` as (32, 48) or (32, 32)."""
    if isinstance(value, int):
        return value, value
    if isinstance(value, str):
        parts = value.lower().split("x")
        return parts * 2 if len(parts) == 1 else parts
    return value


MULTIPLE, MOST_TILE, MOST_FITTED = 32, 512, 384  # pixels, of inputs whose targets have places
Side = Annotated[int, Field(ge=1, le=4096)]
HeightWidth = Annotated[tuple[Side, Side], BeforeValidator(height_width)]
Border = Annotated[int, Field(ge=0, le=512)]
Channels = Annotated[int, Field(ge=1, le=256)]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class ImageConfig:
    """How images are decoded, resized and padded."""

    size: HeightWidth | None = None
    """Height x width to resize images to, such as 32x32; unset: what the network was made for."""
    pad: Annotated[tuple[Border, Border], BeforeValidator(height_width)] | None = None
    """Black rows x columns to add on each side after resizing; unset: chosen from the images."""
    resize: Literal["squash", "crop", "letterbox", "tile"] | None = None
    """Stretch both sides, crop the centre, fit with black bars, or keep the scale and cut large images into tiles;
    unset: chosen from the images."""
    channels: Annotated[Channels | None, BeforeValidator(whole_number)] = None
    """1 for grey, 3 for RGB, 4 for RGB with alpha, or the number of channels of the images; unset: that of the
    images."""
    dct_scaling: bool = True
    """Decode large JPEGs at reduced resolution (libjpeg DCT scaling) when the network needs fewer pixels."""
    bit_depth: Annotated[Literal[8, 16] | None, BeforeValidator(whole_number)] = None
    """Bits per value; unset: that of the images."""
    convert: bool = False
    """Convert CMYK, transparent and 16-bit images instead of refusing them."""
    max_pixels: Annotated[int, Field(ge=4)] = 40_000_000
    """Refuse images with more pixels, before they are decoded."""


def choose_image(
    source: Source,
    indices: NDArray[np.int64],
    settings: ImageConfig,
    input_shape: tuple[int, ...],
    *,
    skip: bool = False,
    several: SeveralPages | None = None,
    dense: bool = False,
    **_: object,
) -> tuple[ImagePreprocess, dict[str, str]]:
    """As `neocog.modalities.table.Choose`; the settings that are set are kept.

    The choices: the size that the network was made for; padding instead of resizing if all images have one size that is
    a little smaller; grey if all images are grey; 16 bits if one has them. `several` gathers the files with several
    pages, of which only the first is read. If the targets have places (`dense`), as masks and boxes have, the scale is
    kept if all images have one size, and no part of an image is cropped.
    Raises DataError if images can't be read, or not as the settings ask.
    """
    headers = survey(source, indices, settings, several or SeveralPages(), skip)
    check_channels(source.name, headers, settings.channels)
    sizes = {(header.height, header.width) for header in headers}
    height, width = input_shape[1:]
    made_for = f"the network was made for {height}x{width}"
    one = sizes.pop() if len(sizes) == 1 else None
    choices = Choices(settings)
    if dense:
        choose_for_places(choices, headers, one)
        return complete(choices, headers, settings)
    border = border_of(one, (height, width)) if one and settings.size is None and settings.pad is None else None
    size = choices.pick("size", *((one, "the size of every image") if border else ((height, width), made_for)))
    choices.pick("pad", *((border, made_for) if border else ((0, 0), "no border is needed")))
    choices.pick("resize", *(("squash", "nothing to resize") if one == size else ("crop", "keeps the aspect ratio")))
    return complete(choices, headers, settings)


def choose_for_places(choices: Choices, headers: Counter[Header], one: Size | None) -> None:
    """Size and resizing for targets with places; sides are multiples of 32, so that halving them five times is exact.

    If all images have one size, a pixel is about as large in all of them: the scale is kept, and larger images are cut
    into tiles. Otherwise they are scaled to fit, as photographs are. Raises ConfigError for a crop, which loses parts.
    """
    if choices.settings.resize == "crop":
        raise ConfigError(
            "A crop would lose what lies outside of it.", received="image.resize=crop for masks or boxes",
            fix="Use squash, letterbox or tile.",
        )  # fmt: skip
    if one is not None:
        tile = tuple(min(MOST_TILE, -(-length // MULTIPLE) * MULTIPLE) for length in one)
        larger = one[0] > tile[0] or one[1] > tile[1]
        choices.pick("size", tile, "tiles of larger images" if larger else "the size of the images, rounded up")
        choices.pick("resize", "tile", f"all images are {one[0]}x{one[1]}, so their scale is kept")
    else:
        longest = sorted(max(header.height, header.width) for header in headers.elements())
        side = min(MOST_FITTED, -(-longest[len(longest) // 2] // MULTIPLE) * MULTIPLE)
        choices.pick("size", (side, side), "the longer side of most images, or the largest default")
        choices.pick("resize", "letterbox", "images of several sizes keep their aspect ratio")
    choices.pick("pad", (0, 0), "no border is needed")


def complete(
    choices: Choices, headers: Counter[Header], settings: ImageConfig
) -> tuple[ImagePreprocess, dict[str, str]]:
    """The preprocessing with what depends on the channels, once size and resizing are chosen."""
    choices.pick("channels", max(header.channels for header in headers), "that of the images")
    choices.pick("bit_depth", max(header.bit_depth for header in headers), "that of the images")
    limits = {key: getattr(settings, key) for key in ("convert", "max_pixels", "dct_scaling")}
    return ImagePreprocess(**choices.values, **limits), choices.reasons


def border_of(size: Size, target: Size) -> tuple[int, int] | None:
    """The border that brings a size to the target, if it is even and at most an eighth of the target."""
    rows, columns = target[0] - size[0], target[1] - size[1]
    fits = rows % 2 == columns % 2 == 0 and 0 <= rows <= target[0] / 4 and 0 <= columns <= target[1] / 4
    return (rows // 2, columns // 2) if fits and (rows or columns) else None


def survey(
    source: Source, indices: NDArray[np.int64], settings: ImageConfig, several: SeveralPages, skip: bool
) -> Counter[Header]:
    """The kinds of images in a data set, from their headers, and how many there are of each."""
    if isinstance(source, ArraySource):
        return Counter({array_header(images[0]): len(images) for images in source.parts if len(images)})
    paged: list[tuple[int, Header, str]] = []

    def read(record: Record, where: str) -> Header:
        if not isinstance(record.payload, bytes):
            return array_header(array_pixels(np.asarray(record.payload), where))
        header = image_header(record.payload, where, settings.max_pixels)
        pages = several.look(record.key, record.payload)
        if pages > 1 and pages == settings.channels != header.channels:
            paged.append((pages, header, where))
        return header

    found = Counter(read_headers(source, indices, read, skip=skip))
    if paged and all(header.channels != settings.channels for header in found):
        pages, header, where = paged[0]
        held = f"{where} has {pages} pages of {header.channels}, of which only the first would be read"
        received, fix = f"--image.channels {pages}, and {held}", f"{HINT} Or leave --image.channels out."
        raise ConfigError("Pages are not read as channels.", received=received, fix=fix)
    return found


def find_pages(source: Source, indices: NDArray[np.int64], several: SeveralPages) -> None:
    """Gather files with several pages among further samples; only those are read whose names allow it."""
    if isinstance(source, ArraySource) or MODALITIES[source.modality].count_pages is None:
        return
    for index in spread_evenly(indices).tolist():
        key = source.key(index)
        if several.may_have(key):
            try:
                payload = source.read(index).payload
            except DataError:  # which decoding will report
                continue
            if isinstance(payload, bytes):
                several.look(key, payload)


def check_channels(name: str, headers: Counter[Header], asked: int | None) -> None:
    """Raises DataError if images can't all be brought to one number of channels, or to the one that is asked for."""
    kinds: Counter[int] = Counter()
    for header, count in headers.items():
        kinds[header.channels] += count
    shown = ", ".join(f"{count:,} of {channels}" for channels, count in sorted(kinds.items()))
    if asked is None and len(kinds) > 1 and not kinds.keys() <= {1, 3}:
        rule, fix = "Images must have one number of channels; only grey and RGB mix.", "Make a data set of each kind."
        raise DataError(rule, received=f"images of different numbers, {shown} channels", where=name, fix=fix)
    unfit = sum(count for header, count in headers.items() if asked is not None and not header.fits(asked))
    if unfit:
        rule = "Images must have the number of channels that image.channels asks for, or be grey or RGB."
        found = f"Asked for: {asked}. In {name}, {unfit:,} can't be brought to that: {shown} channels."
        raise DataError(f"{rule} {found}", fix="Leave image.channels out, or choose other images.")
