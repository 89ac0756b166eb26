"""The container of a WAV file: where its samples are, and whether its header states how many there are.

A program that writes to a pipe, or that is stopped while it records, can't go back to fill in the lengths. Its header
keeps what it began with:

| length of the samples in the header | written by                                                   |
|-------------------------------------|--------------------------------------------------------------|
| 0xFFFFFFFF                          | ffmpeg                                                       |
| 0x7FFFF000, 0x7FFFFF00, 0x7FFFFFFF  | sox and espeak-ng, arecord, lame; others count a header off  |
| 0, with samples behind it           | recorders that were stopped, Python's `wave` into a pipe     |

RF64 and its successor BW64 keep 64-bit lengths in a chunk `ds64`. Source: IBM & Microsoft 1991, "Multimedia
Programming Interface and Data Specifications 1.0", RIFF; EBU Tech 3306, RF64; ITU-R BS.2088, BW64.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["WavSamples", "find_samples", "is_wav", "with_plain_header"]

WIDE = (b"RF64", b"BW64")
CONTAINERS = (b"RIFF", b"RIFX", *WIDE)  # the numbers of RIFX are big-endian
UNKNOWN = 0xFFFFFFFF  # in an RF64 file: the length is in ds64
SLACK = 2**16
"""Bytes by which the code of an unknown length lies at most below 2 or 4 GiB: no file that is read is that long."""


@dataclass(frozen=True, slots=True)
class WavSamples:
    """Where the samples of a WAV file begin, and how many bytes of them its header states; None if it does not."""

    start: int
    num_bytes: int | None

    def missing(self, payload: bytes) -> int:
        """The number of bytes that the file lacks."""
        return max(0, self.start + (self.num_bytes or 0) - len(payload))


def is_wav(payload: bytes) -> bool:
    """Whether a file begins as a WAV does, of whatever byte order and width of lengths."""
    return payload[:4] in CONTAINERS and payload[8:12] == b"WAVE"


def find_samples(payload: bytes) -> WavSamples | None:
    """The samples of a file; None for one that is not a WAV, or whose chunks lead to none.

    >>> streamed = bytes.fromhex("ffffffff")
    >>> find_samples(b"RIFF" + streamed + b"WAVE" + b"data" + streamed + bytes(100))
    WavSamples(start=20, num_bytes=None)
    """
    if not is_wav(payload):
        return None
    wide = None
    for name, start, size in chunks(payload, 12):
        if name == b"ds64" and payload.startswith(WIDE) and len(payload) >= start + 16:
            wide = struct.unpack_from("<Q", payload, start + 8)[0]
        elif name == b"data":
            length = wide if wide is not None and size == UNKNOWN else size
            return WavSamples(start, None if stands_for_unknown(length, payload, start) else length)
    return None


def chunks(payload: bytes, place: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and length of each chunk. If a length is odd, one more byte follows."""
    numbers = ">4sI" if payload.startswith(b"RIFX") else "<4sI"
    while place + 8 <= len(payload):
        name, size = struct.unpack_from(numbers, payload, place)
        yield name, place + 8, size
        place += 8 + size + size % 2


def stands_for_unknown(length: int, payload: bytes, start: int) -> bool:
    """Whether this is not a length of samples, but the value that is written until it is known."""
    if length == 0:
        return len(payload) > start + 1 and not ends_with_chunks(payload, start)
    return any(top - SLACK <= length <= top for top in (2**31, 2**32 - 1)) or length > 2**63


def ends_with_chunks(payload: bytes, start: int) -> bool:
    """Whether whole chunks, with names that can be written, lie between here and the end."""
    end = start
    for name, begin, size in chunks(payload, start):
        if not all(32 <= letter < 127 for letter in name):
            return False
        end = begin + size + size % 2
    return len(payload) <= end <= len(payload) + 1


def with_plain_header(payload: bytes) -> bytes:
    """A file for a decoder that knows neither RF64 nor unknown lengths; unchanged if it can read it."""
    samples = find_samples(payload)
    if samples is None or (payload.startswith((b"RIFF", b"RIFX")) and samples.num_bytes is not None):
        return payload
    content = bytearray(payload)
    if payload.startswith(WIDE):
        content[:4] = b"RIFF"
        for name, start, _ in chunks(payload, 12):
            if start < samples.start and name == b"ds64":
                content[start - 8 : start - 4] = b"JUNK"
    there = len(payload) - samples.start
    length = there if samples.num_bytes is None else min(samples.num_bytes, there)
    numbers = ">I" if payload.startswith(b"RIFX") else "<I"
    struct.pack_into(numbers, content, 4, len(payload) - 8)
    struct.pack_into(numbers, content, samples.start - 4, length)
    return bytes(content)
