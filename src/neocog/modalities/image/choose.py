"""Choosing a preprocessing: what the settings leave open follows from the pictures and the network."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Source
from neocog.errors import ConfigError, DataError
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.image.config import ImageConfig
from neocog.modalities.image.decode import picture_header
from neocog.modalities.image.pages import HINT, SeveralPages
from neocog.modalities.image.pixels import Header, Size, array_header, array_pixels
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.survey import all_faults, surveyed
from neocog.progress import track

__all__ = ["choose_preprocess", "find_pages"]


def choose_preprocess(
    source: Source,
    indices: NDArray[np.int64],
    config: ImageConfig,
    input_size: Size,
    several: SeveralPages | None = None,
    *,
    skip: bool = False,
) -> tuple[ImagePreprocess, dict[str, str]]:
    """The preprocessing for these records and a network's input size, and a reason for each value that was chosen.

    What the config sets is kept. Chosen is: the size that the network asks for; padding instead of resizing where all
    pictures have one size that is a little smaller; grey where all pictures are grey; 16 bits where one has them.
    `several` gathers the files with several pages, of which only the first is read. Raises DataError for images that
    can't be read, unless they are to be skipped, and for those that can't be read as the config asks.
    """
    headers = survey(source, indices, config, several or SeveralPages(), skip=skip)
    check_channels(source.name, headers, config.channels)
    sizes = {(header.height, header.width) for header in headers}
    reasons: dict[str, str] = {}

    def chosen(key: str, value: Any, reason: str) -> Any:
        if getattr(config, key) is not None:
            return getattr(config, key)
        reasons[key] = reason
        return value

    target = f"the network was made for {input_size[0]}x{input_size[1]}"
    one = next(iter(sizes)) if len(sizes) == 1 else None
    border = border_of(one, input_size) if one and config.size is None and config.pad is None else None
    if one and border:
        size, pad = one, border
        reasons |= {"size": "the size of every picture", "pad": target}
    else:
        size = chosen("size", input_size, target)
        pad = chosen("pad", (0, 0), "no border is needed")
    same = one == size
    spec = ImagePreprocess(
        size=size,
        pad=pad,
        resize=chosen(
            "resize",
            "squash" if same else "crop",
            "nothing to resize" if same else "keeps shapes as they are",
        ),
        channels=chosen("channels", max(h.channels for h in headers), "the pictures' own"),
        bit_depth=chosen("bit_depth", max(h.depth for h in headers), "the pictures' own"),
        convert=config.convert,
        max_pixels=config.max_pixels,
        dct_scaling=config.dct_scaling,
    )
    return spec, reasons


def border_of(size: Size, target: Size) -> tuple[int, int] | None:
    """The border that brings a size to the target, where it is even and at most an eighth of the target."""
    rows, columns = target[0] - size[0], target[1] - size[1]
    fits = rows % 2 == columns % 2 == 0 and 0 <= rows <= target[0] / 4 and 0 <= columns <= target[1] / 4
    return (rows // 2, columns // 2) if fits and (rows or columns) else None


def survey(
    source: Source, indices: NDArray[np.int64], config: ImageConfig, several: SeveralPages, *, skip: bool
) -> Counter[Header]:
    """The kinds of pictures that a set holds, from their headers, and how many there are of each.

    With `skip`, images that can't be read are passed over.
    """
    if isinstance(source, ArraySource):
        parts = [pictures for _, pictures in source.parts]
        return Counter({array_header(pictures[0]): len(pictures) for pictures in parts if len(pictures)})
    found: Counter[Header] = Counter()
    faults = []
    pages_asked: list[tuple[int, Header, str]] = []
    for index in track(surveyed(indices).tolist(), "reading headers"):
        try:
            record = source.read(index)
            where = f"{source.name}: {record.key}"
            if isinstance(record.payload, bytes):
                header = picture_header(record.payload, where, config.max_pixels)
                pages = several.look(record.key, record.payload)
                if pages > 1 and pages == config.channels != header.channels:
                    pages_asked.append((pages, header, where))
                found[header] += 1
            elif not isinstance(record.payload, str):
                found[array_header(array_pixels(record.payload, where))] += 1
        except DataError as error:
            faults.append(str(error))
    if faults and (not skip or not found):
        raise all_faults(faults)
    if pages_asked and all(header.channels != config.channels for header in found):
        raise pages_as_channels(*pages_asked[0])
    return found


def pages_as_channels(pages: int, header: Header, where: str) -> ConfigError:
    """What is said where as many channels are asked for as a file has pages, and no file has so many channels."""
    return ConfigError(
        f"Pages are not read as channels. Received: --image.channels {pages}, and {where} has {pages} pages of "
        f"{header.channels}, of which only the first would be read. {HINT} Or leave --image.channels out."
    )


def find_pages(source: Source, indices: NDArray[np.int64], several: SeveralPages) -> None:
    """Gather files with several pages among further records; only those are read whose names allow it."""
    if isinstance(source, ArraySource) or source.modality != "image":
        return
    for index in surveyed(indices).tolist():
        key = source.key(index)
        if several.may_have(key):
            try:
                payload = source.read(index).payload
            except DataError:  # which decoding will say
                continue
            if isinstance(payload, bytes):
                several.look(key, payload)


def check_channels(name: str, headers: Counter[Header], asked: int | None) -> None:
    """Raises DataError where pictures can't all be brought to one number of channels, or to the one that is asked."""
    kinds: Counter[int] = Counter()
    for header, count in headers.items():
        kinds[header.channels] += count
    shown = ", ".join(f"{count:,} of {channels}" for channels, count in sorted(kinds.items()))
    if asked is None and len(kinds) > 1 and not kinds.keys() <= {1, 3}:
        raise DataError(
            f"Pictures must have one number of channels; only grey and RGB mix. {name} has pictures of different "
            f"numbers: {shown} channels. Give each kind a set of its own."
        )
    unfit = sum(count for header, count in headers.items() if asked is not None and not header.fits(asked))
    if unfit:
        raise DataError(
            f"Pictures must have the channels that image.channels asks for, or be grey or RGB. Asked for: {asked}. "
            f"In {name}, {unfit:,} can't be brought to that: {shown} channels. Leave it out, or choose the pictures."
        )
