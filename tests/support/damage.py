"""Damage to the bytes of files, as disks, networks and editors do it, and as someone does who means harm."""

import binascii
import contextlib
import functools
import gzip
import hashlib
import io
import json
import re
import signal
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import numpy as np
import pytest

resource = pytest.importorskip("resource", reason="memory and time are measured as POSIX systems do")

Random = np.random.Generator
Damaged = tuple[bytes, str]
"""What the content is now, and what was done to it."""

NUMBERS = (b"-1", b"0", b"7", b"1e999", b"NaN", b"-inf", b"9" * 20, b"9" * 5000, b"1_0", b"2147483648", b"0.5", b"null")
TOKENS = (
    *NUMBERS, b'"', b"'", b"{}", b"[[[[", b"]", b"(;", b"[", b",", b"\t", b"\n", b"\r", b":", b"\0", b"&x;", b"<a>",
    b"*a", b"../x", b"/etc/passwd", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", "\u0660\u00b2\u2028".encode(), bytes(8),
    b"\x7f\xff\xff\xff", b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\1\0\0\0\0\0\0\x80",
)  # fmt: skip
"""What parsers, and readers of sizes, stumble over."""


SECONDS = 10
"""Of computing, after which reading counts as endless; of waiting, six times as many, as the machine may be busy."""


class EndlessError(BaseException):
    """No Exception, which a reader might take for a fault of its file."""


@contextlib.contextmanager
def ending() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise EndlessError

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, SECONDS), (signal.SIGALRM, signal.ITIMER_REAL, 6 * SECONDS))
    before = [signal.signal(number, stop) for number, _, _ in timers]
    try:
        for _, timer, seconds in timers:
            signal.setitimer(timer, seconds)
        yield
    finally:
        for (number, timer, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def peak() -> int:
    """The most memory that this process has held, in bytes."""
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def damaged(name: str, content: bytes, random: Random) -> Damaged:
    """A file damaged once or twice; in half of the cases behind its checksums, if it has any."""
    within = BEHIND.get(PurePosixPath(name).suffix)
    if within and content and random.random() < 0.5:
        return within(content, random)
    return anyhow(content, random)


def anyhow(content: bytes, random: Random) -> Damaged:
    if random.random() < 0.01:
        return b"", "emptied"
    notes = []
    for kind in random.integers(0, len(DAMAGE), random.integers(1, 3)).tolist():
        content, note = DAMAGE[kind](content, random) if content else (content, "nothing to damage")
        notes.append(note)
    return content, ", ".join(notes)


def flip_bits(content: bytes, random: Random) -> Damaged:
    flipped, places = bytearray(content), random.integers(0, 8 * len(content), random.integers(1, 9)).tolist()
    for place in places:
        flipped[place // 8] ^= 1 << place % 8
    return bytes(flipped), f"bits {places} flipped"


def truncate(content: bytes, random: Random) -> Damaged:
    end = int(random.integers(len(content)))
    return content[:end], f"cut at {end}"


def insert(content: bytes, random: Random) -> Damaged:
    place, piece = int(random.integers(len(content) + 1)), random.bytes(int(random.integers(1, 65)))
    return content[:place] + piece + content[place:], f"{piece!r} put in at {place}"


def span(content: bytes, random: Random) -> tuple[int, int]:
    start = int(random.integers(len(content)))
    return start, min(len(content), start + int(random.integers(1, 65)))


def zeros(content: bytes, random: Random) -> Damaged:
    start, stop = span(content, random)
    return content[:start] + bytes(stop - start) + content[stop:], f"zeros at {start}:{stop}"


def ones(content: bytes, random: Random) -> Damaged:
    start, stop = span(content, random)
    return content[:start] + b"\xff" * (stop - start) + content[stop:], f"ones at {start}:{stop}"


def double(content: bytes, random: Random) -> Damaged:
    start, stop = span(content, random)
    return content[:stop] + content[start:], f"{start}:{stop} doubled"


def leave_out(content: bytes, random: Random) -> Damaged:
    start, stop = span(content, random)
    return content[:start] + content[stop:], f"{start}:{stop} left out"


def write_token(content: bytes, random: Random) -> Damaged:
    """Over what stands there, or between."""
    place, token = int(random.integers(len(content) + 1)), TOKENS[random.integers(len(TOKENS))]
    stop = place + len(token) * int(random.integers(2))
    return content[:place] + token + content[stop:], f"{token[:30]!r} at {place}:{stop}"


def write_number(content: bytes, random: Random) -> Damaged:
    """In the place of another, where there is one."""
    runs = [match.span() for match in re.finditer(rb"\d+", content)]
    if not runs:
        return write_token(content, random)
    start, stop = runs[random.integers(len(runs))]
    token = NUMBERS[random.integers(len(NUMBERS))]
    return content[:start] + token + content[stop:], f"{token[:30]!r} at {start}:{stop}"


DAMAGE: tuple[Callable[[bytes, Random], Damaged], ...] = (
    *(flip_bits,) * 4, truncate, insert, zeros, ones, double, leave_out, *(write_token,) * 2, *(write_number,) * 2,
)  # fmt: skip


def within_gzip(content: bytes, random: Random) -> Damaged:
    inner, note = anyhow(gzip.decompress(content), random)
    return gzip.compress(inner), f"unpacked: {note}"


def within_zip(content: bytes, random: Random) -> Damaged:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = list(members)[random.integers(len(members))]
    members[chosen], note = anyhow(members[chosen], random)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return file.getvalue(), f"{chosen}: {note}"


def within_tar(content: bytes, random: Random) -> Damaged:
    """In a header, whose checksum is made to agree."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        starts = [member.offset for member in archive]
    start = starts[random.integers(len(starts))]
    header, note = anyhow(content[start : start + 512], random)
    header = header[:512].ljust(512, b"\0")
    header = header[:148] + b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:])) + header[156:]
    return content[:start] + header + content[start + 512 :], f"header at {start}: {note}"


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", binascii.crc32(kind + data))


def within_png(content: bytes, random: Random) -> Damaged:
    """In a chunk, or in the rows of pixels as they are when inflated."""
    chunks, place = [], 8
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    chosen = int(random.integers(len(chunks) - 1))
    kind, data = chunks[chosen]
    inflated = kind == b"IDAT" and random.random() < 0.5
    data, note = anyhow(zlib.decompress(data) if inflated else data, random)
    chunks[chosen] = kind, zlib.compress(data) if inflated else data
    return content[:8] + b"".join(png_chunk(*chunk) for chunk in chunks), f"{kind!r}: {note}"


def within_ogg(content: bytes, random: Random) -> Damaged:
    """In a page, whose checksum is made to agree. Source: RFC 3533, section 6."""
    starts = [match.start() for match in re.finditer(b"OggS", content)]
    chosen = int(random.integers(len(starts)))
    start, stop = starts[chosen], [*starts, len(content)][chosen + 1]
    page, note = anyhow(content[start:stop], random)
    if len(page) >= 27:
        plain = page[:22] + bytes(4) + page[26:]
        page = page[:22] + struct.pack("<I", ogg_checksum(plain)) + page[26:]
    return content[:start] + page + content[stop:], f"page at {start}: {note}"


def ogg_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ ogg_table()[value >> 24 ^ byte]
    return value


@functools.cache
def ogg_table() -> list[int]:
    table = []
    for value in range(256):
        value <<= 24
        for _ in range(8):
            value = value << 1 & 0xFFFFFFFF ^ (0x04C11DB7 if value >> 31 else 0)
        table.append(value)
    return table


BEHIND = {".gz": within_gzip, ".npz": within_zip, ".tar": within_tar, ".png": within_png, ".ogg": within_ogg}
"""Damage behind checksums, by suffix."""


def sealed(files: dict[str, bytes]) -> dict[str, bytes]:
    """A packed set whose index names the hashes that its arrays have now."""
    header = json.loads(files["neocog-index.json"])
    for kind in header["arrays"]:
        header["arrays"][kind] = hashlib.sha256(files[f"neocog-index.{kind}.npy"]).hexdigest()
    return {**files, "neocog-index.json": json.dumps(header).encode()}
