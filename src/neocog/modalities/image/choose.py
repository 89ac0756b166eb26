"""Choosing the preprocessing of images: what the settings leave open follows from the images and the network."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Record, Source
from neocog.errors import ConfigError, DataError
from neocog.modalities.choose import Choices, read_headers, spread_evenly
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.image.config import ImageConfig
from neocog.modalities.image.decode import image_header
from neocog.modalities.image.pages import HINT, SeveralPages
from neocog.modalities.image.pixels import Header, Size, array_header, array_pixels
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.table import MODALITIES

__all__ = ["choose_image", "find_pages"]


def choose_image(
    source: Source,
    indices: NDArray[np.int64],
    settings: ImageConfig,
    input_shape: tuple[int, ...],
    *,
    skip: bool = False,
    several: SeveralPages | None = None,
    **_: object,
) -> tuple[ImagePreprocess, dict[str, str]]:
    """As `neocog.modalities.table.Choose`; the settings that are set are kept.

    Chosen are: the size that the network was made for; padding instead of resizing if all images have one size that is
    a little smaller; grey if all images are grey; 16 bits if one has them. `several` gathers the files with several
    pages, of which only the first is read. Raises DataError if images can't be read, or not as the settings ask.
    """
    headers = survey(source, indices, settings, several or SeveralPages(), skip)
    check_channels(source.name, headers, settings.channels)
    sizes = {(header.height, header.width) for header in headers}
    height, width = input_shape[1:]
    made_for = f"the network was made for {height}x{width}"
    one = next(iter(sizes)) if len(sizes) == 1 else None
    border = border_of(one, (height, width)) if one and settings.size is None and settings.pad is None else None
    choices = Choices(settings)
    if one and border:
        size = choices.pick("size", one, "the size of every image")
        choices.pick("pad", border, made_for)
    else:
        size = choices.pick("size", (height, width), made_for)
        choices.pick("pad", (0, 0), "no border is needed")
    same = one == size
    choices.pick("resize", "squash" if same else "crop", "nothing to resize" if same else "keeps the aspect ratio")
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
        parts = source.parts
        return Counter({array_header(images[0]): len(images) for images in parts if len(images)})
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
        raise ConfigError(
            "Pages are not read as channels.",
            received=f"--image.channels {pages}, and {where} has {pages} pages of {header.channels}, of which only the "
            "first would be read",
            fix=f"{HINT} Or leave --image.channels out.",
        )
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
        raise DataError(
            "Images must have one number of channels; only grey and RGB mix.",
            received=f"images of different numbers, {shown} channels",
            where=name,
            fix="Make a data set of each kind.",
        )
    unfit = sum(count for header, count in headers.items() if asked is not None and not header.fits(asked))
    if unfit:
        raise DataError(
            "Images must have the number of channels that image.channels asks for, or be grey or RGB. "
            f"Asked for: {asked}. In {name}, {unfit:,} can't be brought to that: {shown} channels.",
            fix="Leave image.channels out, or choose other images.",
        )
