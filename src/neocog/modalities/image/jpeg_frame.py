"""How a JPEG is stored, from its markers up to the scan. Source: ITU-T T.81, annex B."""

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
    """A frame header."""

    marker: int  # the coding process: 0xC0 to 0xC2 are those that all programs support
    bits: int
    size: Size  # as stored
    components: int
    sampling: bytes  # a byte per component: the horizontal factor in the upper half, the vertical one in the lower
    tagged: bool  # whether there are EXIF or XMP tags, and so perhaps an orientation

    @property
    def blocks(self) -> bool:
        """Whether it holds blocks of frequencies. A lossless JPEG does not, and must not be scaled."""
        return self.marker in BLOCKS


def read_frame(payload: bytes) -> Frame | None:
    """Follow the markers of a JPEG up to its scan, as a decoder does; None if anything on the way is unusual."""
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
    """The shares of rows and columns of the image that each component is decoded at, for a scale of k/8.

    A colour plane with half the rows and half the columns is decoded at twice the scale, so that nothing of it is
    lost; one with only half the columns is not. The last value says whether all that is stored is kept.
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
