"""Choosing a preprocessing: what the settings leave open follows from the pictures and the network."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.config import DataConfig
from neocog.data.preprocess.image import ImagePreprocess
from neocog.data.preprocess.picture import Header, picture_header
from neocog.data.preprocess.resize import Size
from neocog.data.record import Source
from neocog.data.sources.arrays import ArraySource
from neocog.errors import DataError
from neocog.progress import track

__all__ = ["all_faults", "choose_preprocess"]


def choose_preprocess(
    source: Source, indices: NDArray[np.int64], config: DataConfig, input_size: Size
) -> tuple[ImagePreprocess, dict[str, str]]:
    """The preprocessing for these records and a network's input size, and a reason for each value that was chosen.

    What the config sets is kept. Chosen is: the size that the network asks for; padding instead of resizing where all
    pictures have one size that is a little smaller; grey where all pictures are grey; 16 bits where one has them.
    """
    headers = survey(source, indices, config.max_pixels)
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
        depth=chosen("depth", max(h.depth for h in headers), "the pictures' own"),
        convert=config.convert,
        max_pixels=config.max_pixels,
    )
    return spec, reasons


def border_of(size: Size, target: Size) -> tuple[int, int] | None:
    """The border that brings a size to the target, where it is even and at most an eighth of the target."""
    rows, columns = target[0] - size[0], target[1] - size[1]
    fits = rows % 2 == columns % 2 == 0 and 0 <= rows <= target[0] / 4 and 0 <= columns <= target[1] / 4
    return (rows // 2, columns // 2) if fits and (rows or columns) else None


def survey(source: Source, indices: NDArray[np.int64], max_pixels: int) -> set[Header]:
    """The kinds of pictures that a set holds, from their headers."""
    if isinstance(source, ArraySource):
        shapes = {(*pictures.shape[1:], 8 * pictures.itemsize) for _, pictures in source.parts}
        return {Header(s[0], s[1], s[2] if len(s) == 4 else 1, s[-1]) for s in shapes}
    found, faults = set(), []
    for index in track(indices.tolist(), "reading headers"):
        record = source.read(index)
        try:
            if isinstance(record.payload, bytes):
                found.add(picture_header(record.payload, f"{source.name}: {record.key}", max_pixels))
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise all_faults(faults)
    return found


def all_faults(faults: list[str]) -> DataError:
    """One error for many: the first in full, and how many there are."""
    rest = len(faults) - 1
    more = f"\n{rest} more cannot be read:\n  " + "\n  ".join(faults[1:4]) if rest else ""
    return DataError(faults[0] + more + ("\n  ..." if rest > 3 else ""))
