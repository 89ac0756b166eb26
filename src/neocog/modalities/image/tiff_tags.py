"""How the pixels of a TIFF are stored, read from its tags without a library in a few microseconds.

Sources: TIFF 6.0; BigTIFF; libtiff for SGI's ImageDepth.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from neocog.dataset.file_types import FILE_TYPES

__all__ = ["MAGIC", "Directory", "Tag", "Tags", "directories", "number", "numbers", "read_tags"]

MAGIC = FILE_TYPES["TIFF"].starts
BIG = (b"+\0", b"\0+")


Tag = IntEnum("Tag", {
    "SUBFILE": 254, "OLD_SUBFILE": 255, "WIDTH": 256, "HEIGHT": 257, "BITS": 258, "COMPRESSION": 259,
    "PHOTOMETRIC": 262, "FILL_ORDER": 266, "DESCRIPTION": 270, "SAMPLES": 277, "PLANAR": 284, "PALETTE": 320,
    "SUBIFDS": 330, "EXTRA": 338, "FORMAT": 339, "SUBSAMPLING": 530, "LAYERS": 32997,
})  # fmt: skip
"""The tags that are read."""
READ = frozenset(map(int, Tag))
TYPES = {1: "B", 2: "s", 3: "H", 4: "I", 9: "i", 13: "I", 16: "Q", 18: "Q"}
WIDTHS = {"B": 1, "s": 1, "H": 2, "I": 4, "i": 4, "Q": 8}
MANY = 3 * 2**16
"""The largest number of values that is read from one tag: that of a palette for 16 bits."""
WIDE = 2**8
"""A palette with values from this on is of 16 bits, as it must be."""
Directory = dict[int, tuple[int, ...] | bytes]
"""Some tags of a page: numbers, or a text."""


class Tags(NamedTuple):
    """Tags of the first page."""

    bits: int  # of each sample; 0 if they differ
    sample_format: int
    """1: unsigned, 2: signed, 3: floating point, 4: undefined, 5 and 6: complex; 0 if the samples differ."""
    samples: int
    photometric: int
    compression: int
    planar: int  # 1: the samples of a pixel are neighbours. 2: each has a plane of its own.
    extra: tuple[int, ...]  # 0: unspecified, 1: associated alpha, 2: unassociated alpha.
    fill_order: int  # 1: the first pixel is in the highest bits of a byte. 2: in the lowest.
    layers: int  # more than one for a volume
    subsampled: bool  # whether several pixels share the colours of YCbCr
    byte_palette: bool
    """Whether the colours of a palette have 8 bits instead of 16, as some programs wrote them: nearly black."""
    little_endian: bool
    big: bool
    """A BigTIFF."""


def read_tags(payload: bytes) -> Tags | None:
    """The tags that tell how the pixels of the first page are stored; None if they can't be read."""
    first = next(directories(payload), None)
    if first is None:
        return None
    samples = number(first, Tag.SAMPLES, 1)
    bits, formats = (set(numbers(first, tag, (1,))[: max(1, samples)]) for tag in (Tag.BITS, Tag.FORMAT))
    return Tags(
        bits=bits.pop() if len(bits) == 1 else 0,
        sample_format=formats.pop() if len(formats) == 1 else 0,
        samples=samples,
        photometric=number(first, Tag.PHOTOMETRIC, 0),
        compression=number(first, Tag.COMPRESSION, 1),
        planar=number(first, Tag.PLANAR, 1),
        extra=numbers(first, Tag.EXTRA, ()),
        fill_order=number(first, Tag.FILL_ORDER, 1),
        layers=number(first, Tag.LAYERS, 1),
        subsampled=numbers(first, Tag.SUBSAMPLING, (2, 2)) != (1, 1),
        byte_palette=0 < max(numbers(first, Tag.PALETTE, (0,))) < WIDE,
        little_endian=payload.startswith(b"II"),
        big=payload[2:4] in BIG,
    )


def numbers(tags: Directory, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
    value = tags.get(tag, default)
    return value if isinstance(value, tuple) else default


def number(tags: Directory, tag: int, default: int) -> int:
    """The first value of a tag."""
    return numbers(tags, tag, (default,))[0]


def directories(payload: bytes) -> Iterator[Directory]:
    """Some tags of each page in turn, up to the last page, or to where the file is damaged."""
    order, big = "<" if payload.startswith(b"II") else ">", payload[2:4] in BIG
    pointer, length, room = (f"{order}Q", f"{order}Q", 8) if big else (f"{order}I", f"{order}H", 4)
    entry, seen = struct.Struct(f"{order}HHQ" if big else f"{order}HHI"), set[int]()
    try:
        (place,) = struct.unpack_from(pointer, payload, 8 if big else 4)
        while place and place not in seen:
            seen.add(place)
            (count,) = struct.unpack_from(length, payload, place)
            place += struct.calcsize(length)
            end = place + count * (entry.size + room)
            tags: Directory = {}
            for at in range(place, min(end, len(payload)), entry.size + room):
                tag, kind, num = entry.unpack_from(payload, at)
                if tag not in READ or kind not in TYPES or not 0 < num <= MANY:
                    continue
                form, at = TYPES[kind], at + entry.size
                if num * WIDTHS[form] > room:
                    (at,) = struct.unpack_from(pointer, payload, at)
                if form == "s":
                    tags[tag] = payload[at : at + num]
                else:
                    tags[tag] = struct.unpack_from(f"{order}{num}{form}", payload, at)
            yield tags
            (place,) = struct.unpack_from(pointer, payload, end)
    except (struct.error, IndexError, OverflowError):  # a damaged file can point anywhere
        return
