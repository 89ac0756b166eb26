"""Files that hold more than one image: pages of a TIFF, frames of an animated WebP or PNG. Only the first is read."""

import json
import math
import re
from collections.abc import Mapping
from itertools import islice

from neocog.dataset.file_types import FILE_TYPES
from neocog.dataset.files import suffix_of
from neocog.errors import some
from neocog.modalities.image.tiff_tags import MAGIC, Directory, Tag, directories, number

__all__ = ["FIRST_ALONE", "HINT", "SeveralPages", "num_pages", "pages_notice"]

FIRST_ALONE = "files that hold several pages or frames, of which only the first is read: {n}"
"""A notice of training, checking and prediction, and the sentence of a finding of the doctor."""
HINT = (
    "If the pages are channels, save them as one page: tifffile.imwrite(new, numpy.dstack(tifffile.imread(old, "
    "key=slice(None))), photometric='minisblack', planarconfig='contig'). Otherwise save each page as a file of its "
    "own."
)
PAGED = frozenset({".tif", ".tiff", ".webp"})
"""Suffixes of files that often hold several pages. Others are looked at if their content is at hand."""
(PNG,) = FILE_TYPES["PNG"].starts
ASIDE = 0b101  # a thumbnail or a mask
OLD_THUMBNAIL = 2
ANIMATED = 2
MAX_PAGES = 100_000  # that are counted
IMAGEJ = re.compile(rb"^ImageJ=.*?\bimages=(\d{1,9})\b", re.DOTALL)


def num_pages(payload: bytes) -> int:
    """The number of images in a file; 1 if it is not TIFF, WebP or PNG, or can't be read.

    Thumbnails, masks and smaller copies of a page do not count, nor do further images in a JPEG, which are previews.
    """
    if payload.startswith(MAGIC):
        return tiff_pages(payload)
    if payload.startswith(b"RIFF") and payload[8:12] == b"WEBP":
        return webp_frames(payload)
    return png_frames(payload) if payload.startswith(PNG) else 1


def pages_notice(several: Mapping[str, int]) -> str:
    """The notice on files that hold several images, given by key with their number.

    >>> pages_notice({"b.tif": 5, "a.tif": 3}).split(". ")[0]
    'files that hold several pages or frames, of which only the first is read: 2 (a.tif has 3, b.tif has 5)'
    """
    shown = some(f"{key} has {count}" for key, count in sorted(several.items()))
    advice = "To use all, save pages that are channels as one page, and others as files of their own"
    return f"{FIRST_ALONE.format(n=f'{len(several):,}')} ({shown}). {advice}; `neocog check` shows how"


class SeveralPages:
    """The files of a data set that hold several images, gathered while their headers are read."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}
        self.suffixes = set(PAGED)  # of the files that may hold several

    def look(self, key: str, payload: bytes) -> int:
        """Note the number of images in a file."""
        count = num_pages(payload)
        if count > 1:
            self.found[key] = count
            self.suffixes.add(suffix_of(key.rpartition("/")[2]))
        return count

    def may_have(self, key: str) -> bool:
        """Whether a file that was not read may hold several, by its suffix and by the files that do."""
        return suffix_of(key.rpartition("/")[2]) in self.suffixes

    @property
    def notices(self) -> tuple[str, ...]:
        return (pages_notice(self.found),) if self.found else ()


def tiff_pages(payload: bytes) -> int:
    """Pages of full size, including those that follow a single directory without one of their own."""
    pages = islice(directories(payload), MAX_PAGES)
    first = next(pages, None)
    found = 1 + sum(not aside(tags) for tags in pages)
    if first is None:
        return 1
    if aside(first) and Tag.SUBIFDS in first:  # a preview, before the images themselves
        found += len(first[Tag.SUBIFDS])
    return found if found > 1 else max(1, stacked(first, len(payload)))


def aside(tags: Directory) -> bool:
    return bool(number(tags, Tag.SUBFILE, 0) & ASIDE) or number(tags, Tag.OLD_SUBFILE, 0) == OLD_THUMBNAIL


def stacked(tags: Directory, size: int) -> int:
    """The number of images without a directory of their own after the first, in a file of this size.

    These are the layers of a volume, or stacks of many gigabytes that ImageJ and tifffile describe in a text.
    """
    layers, text = number(tags, Tag.LAYERS, 1), tags.get(Tag.DESCRIPTION, b"")
    page = math.prod(number(tags, tag, 1) for tag in (Tag.WIDTH, Tag.HEIGHT, Tag.SAMPLES))
    room = 8 * size // max(1, page * number(tags, Tag.BITS, 1))  # a description may be older than the pixels
    if not isinstance(text, bytes) or not page or number(tags, Tag.COMPRESSION, 1) != 1:
        return layers
    images = IMAGEJ.match(text)
    if images:
        return max(layers, min(room, int(images[1])))
    try:
        said = json.loads(text.rstrip(b"\0")) if b'"truncated"' in text else {"shape": [page]}
        return max(layers, min(room, math.prod(said["shape"]) // page))
    except (ValueError, KeyError, TypeError):
        return layers


def webp_frames(payload: bytes) -> int:
    if payload[12:16] != b"VP8X" or not payload[20:21] or not payload[20] & ANIMATED:
        return 1
    place, found = 12, 0
    while place + 8 <= len(payload):
        found += payload[place : place + 4] == b"ANMF"
        size = int.from_bytes(payload[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    return max(1, found)


def png_frames(payload: bytes) -> int:
    """The number of frames that an animated PNG states before its pixels."""
    place = len(PNG)
    while place + 12 <= len(payload):
        size, kind = int.from_bytes(payload[place : place + 4]), payload[place + 4 : place + 8]
        if kind == b"acTL":
            return max(1, int.from_bytes(payload[place + 8 : place + 12]))
        if kind == b"IDAT":
            break
        place += 12 + size
    return 1
