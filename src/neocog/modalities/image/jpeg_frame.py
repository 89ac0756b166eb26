"""What a JPEG's markers say of how it is stored, up to its scan. Source: ITU-T T.81, annex B."""

from functools import lru_cache
from typing import NamedTuple

from neocog.dataset.file_types import FILE_TYPES
from neocog.modalities.image.pixels import Size

__all__ = ["Frame", "component_scales", "read_frame"]

(START,) = FILE_TYPES["JPEG"].starts
BLOCKS, FRAMES, NO_FRAMES = frozenset({0xC0, 0xC1, 0xC2}), range(0xC0, 0xD0), frozenset({0xC4, 0xC8, 0xCC})
JPEG_LS = 0xF7
SCAN, TAGS, UNUSUAL = 0xDA, 0xE1, frozenset({*range(0xC0), *range(0xD0, 0xDA), 0xFF})


class Frame(NamedTuple):
    """What the frame's header says."""

    marker: int
    """The way of coding: 0xC0 to 0xC2 are those that all programs know."""
    bits: int
    size: Size
    """As stored."""
    components: int
    sampling: bytes
    """Of each component, the horizontal factor in the upper half, the vertical one in the lower."""
    tagged: bool
    """Whether EXIF or XMP tags are there, and with them perhaps an orientation."""

    @property
    def blocks(self) -> bool:
        """Whether it holds blocks of frequencies. One that does not, a lossless one, must not be decoded to scale."""
        return self.marker in BLOCKS


def read_frame(payload: bytes) -> Frame | None:
    """Follow a JPEG's markers up to its scan, as a decoder does; None where anything on the way is unusual."""
    place, frame, tagged = 2, None, False
    while payload.startswith(START) and place + 4 <= len(payload) and payload[place] == 0xFF:
        marker, length = payload[place + 1], int.from_bytes(payload[place + 2 : place + 4])
        if marker == SCAN:
            return frame and frame._replace(tagged=tagged)
        if marker in UNUSUAL:
            return None
        if (marker in FRAMES and marker not in NO_FRAMES) or marker == JPEG_LS:
            said = payload[place + 4 : place + 2 + length]
            if frame or len(said) < 6 or len(said) != 6 + 3 * said[5]:  # twice, or damaged
                return None
            size = int.from_bytes(said[1:3]), int.from_bytes(said[3:5])
            frame = Frame(marker, said[0], size, said[5], said[7::3], False)
        tagged |= marker == TAGS
        place += 2 + length
    return None


@lru_cache(maxsize=1024)
def component_scales(sampling: bytes, eighths: int) -> tuple[tuple[tuple[float, float], bool], ...]:
    """At which shares of the picture's rows and columns each component comes out of a decoder at some eighths.

    A colour plane with half the rows and half the columns is decoded at twice the scale, so that nothing of it is
    lost; one with half the columns alone is not. The last value says whether all that is stored of it is kept.
    Source: libjpeg-turbo's jdmaster.c, `jpeg_calc_output_dimensions`.

    >>> component_scales(bytes([0x22, 0x11, 0x11]), 4)[1], component_scales(bytes([0x21, 0x11, 0x11]), 4)[1]
    (((0.5, 0.5), True), ((0.5, 0.25), False))
    """
    factors = [(byte & 15, byte >> 4) for byte in sampling]
    if not factors or not all(map(all, factors)):
        return (((0.0, 0.0), False),)  # damaged
    rows, columns = (max(axis) for axis in zip(*factors, strict=True))
    found = []
    for vertical, horizontal in factors:
        block = eighths
        while (
            block < 8 and rows * eighths % (2 * block * vertical) == columns * eighths % (2 * block * horizontal) == 0
        ):
            block *= 2
        found.append(((vertical * block / (8 * rows), horizontal * block / (8 * columns)), block >= 8))
    return tuple(found)
