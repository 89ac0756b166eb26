"""The length of a FLAC file that was written to a pipe: its header keeps the 0 that means an unknown length.

The last frame tells it: its header holds where it begins and how many samples it has. Both of its checksums must agree.
Source: RFC 9639, sections 8.2 and 9.
"""

import functools
import re

__all__ = ["states_length", "with_length"]

PACKED = 18
"""Where eight bytes begin that hold rate, channels, bits and, in the last 36 bits, the number of samples."""
LENGTH = 2**36 - 1
FARTHEST = 2**22  # bytes from the end of a file, beyond which no last frame begins
SYNC = re.compile(rb"\xff[\xf8\xf9]")


def states_length(payload: bytes) -> bool:
    """Whether a file is not a FLAC whose header leaves the number of samples open."""
    return not payload.startswith(b"fLaC") or len(payload) < PACKED + 8 or bool(packed(payload) & LENGTH)


def packed(payload: bytes) -> int:
    return int.from_bytes(payload[PACKED : PACKED + 8])


def with_length(payload: bytes) -> bytes:
    """The file with the number of samples in its header; unchanged if it is there, or can't be told."""
    if states_length(payload):
        return payload
    tail = payload[max(PACKED + 8, len(payload) - FARTHEST) :]
    for sync in reversed(list(SYNC.finditer(tail))):
        frame = tail[sync.start() :]
        length = samples_up_to(frame, fixed=int.from_bytes(payload[8:10]))
        if length and crc(frame[:-2], 16, 0x8005) == int.from_bytes(frame[-2:]):
            content = bytearray(payload)
            content[PACKED : PACKED + 8] = (packed(payload) | min(length, LENGTH)).to_bytes(8)
            return bytes(content)
    return payload


def samples_up_to(frame: bytes, fixed: int) -> int:
    """The number of samples up to the end of this frame; 0 if no frame begins here.

    A frame gives its first sample's number or, if all but the last have the size `fixed`, its own.
    """
    if len(frame) < 9:
        return 0
    size, rate = frame[2] >> 4, frame[2] & 15
    ones = 8 - (frame[4] ^ 0xFF).bit_length()  # bytes of a number, as in UTF-8; 0 means one
    if ones in (1, 8) or size == 0 or rate == 15 or frame[3] & 1:
        return 0
    place = 4 + max(1, ones)
    number = frame[4] & (0x7F >> ones)
    for byte in frame[5:place]:
        number = number << 6 | byte & 0x3F
    extra = {6: 1, 7: 2}.get(size, 0)
    block = 192 if size == 1 else (144 if size < 6 else 1) << size
    count = int.from_bytes(frame[place : place + extra]) + 1 if extra else block
    place += extra + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if place >= len(frame) or crc(frame[:place], 8, 0x07) != frame[place]:
        return 0
    return (number if frame[1] & 1 else number * fixed) + count


def crc(content: bytes, bits: int, polynomial: int) -> int:
    """The remainder of a division of polynomials, most significant bit first."""
    table, mask, value = crc_table(bits, polynomial), (1 << bits) - 1, 0
    for byte in content:
        value = (value << 8 & mask) ^ table[value >> (bits - 8) ^ byte]
    return value


@functools.cache
def crc_table(bits: int, polynomial: int) -> list[int]:
    """The remainders of all bytes; (256,)."""
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
        table.append(value)
    return table
