"""MP3 files that do not state their length: libsndfile would guess it from the first frame, and stop there.

A frame begins with 11 set bits, then version, layer, bit rate, sample rate, padding and channels. Encoders write a
first frame without sound that holds "Xing" or "Info", and the number of frames; recorders and cutters do not.
Source: ISO/IEC 11172-3 and 13818-3, section 2.4; the Xing header as libmpg123 reads it; ID3v2.4, section 3.1.
"""

from typing import NamedTuple

__all__ = ["FRAME", "count_frames", "states_length", "with_length"]

RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Samples per second by version: MPEG 1, 2 and 2.5."""
KBITS = {
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
KBITS[0] = KBITS[2]
ROOMY = 9  # the code of a bit rate whose frames have room for a header
FRAME = 1152  # samples of each channel in a frame, at most


class Frame(NamedTuple):
    """The bytes of a frame, and those between its header and the facts of the whole stream."""

    size: int
    side: int


def frame_at(payload: bytes, place: int) -> Frame | None:
    """The frame of layer III that begins there."""
    head = payload[place : place + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, kbits, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or kbits in (0, 15) or rate == 3:
        return None
    unit = 144_000 if version == 3 else 72_000
    mono = head[3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else 9 if mono else 17
    return Frame(unit * KBITS[version][kbits - 1] // RATES[version][rate] + (head[2] >> 1 & 1), side)


def first_frame(payload: bytes) -> int:
    """The place of the first frame, behind a tag."""
    if not payload.startswith(b"ID3") or len(payload) < 10:
        return 0
    size = sum(byte << shift for byte, shift in zip(payload[6:10], (21, 14, 7, 0), strict=True))
    return 10 + size + (10 if payload[5] & 0x10 else 0)


def states_length(payload: bytes) -> bool:
    """Whether the first frame holds the number of frames, or the file is not an MP3."""
    start = first_frame(payload)
    frame = frame_at(payload, start)
    place = start + 4 + frame.side if frame else 0
    return frame is None or payload[place : place + 4] in (b"Xing", b"Info")


def count_frames(payload: bytes) -> int:
    """The frames of a stream, of at most FRAME samples each; other bytes are skipped, as the decoder does."""
    count, place = 0, first_frame(payload)
    while 0 <= place < len(payload):
        frame = frame_at(payload, place)
        if frame and place + frame.size <= len(payload):
            count, place = count + 1, place + frame.size
        else:
            place = payload.find(b"\xff", place + 1)
    return count


def with_length(payload: bytes) -> bytes:
    """The same stream after a frame that holds the number of frames; other files as they are."""
    if states_length(payload):
        return payload
    start = first_frame(payload)
    head = bytearray(payload[start : start + 4])
    head[1] |= 1  # no checksum
    head[2] = ROOMY << 4 | head[2] & 0x0C
    frame = frame_at(bytes(head), 0)
    assert frame is not None
    numbers = (3).to_bytes(4) + count_frames(payload).to_bytes(4) + (len(payload) - start + frame.size).to_bytes(4)
    return (bytes(head) + bytes(frame.side) + b"Xing" + numbers).ljust(frame.size, b"\0") + payload[start:]
