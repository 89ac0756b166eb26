"""Writes TIFFs of any tags from the specification alone, as the libraries that are tested would not."""

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

__all__ = ["COMPRESSIONS", "write_tiff"]

WIDTHS = {1: "B", 2: "B", 3: "H", 4: "I", 16: "Q"}
Tag = tuple[int, int, Sequence[int]]


def lzw(data: bytes) -> bytes:
    """TIFF 6.0, section 13: codes from the highest bit, which widen one code early."""
    bits, table = [], {bytes([value]): value for value in range(256)}
    following, width, seen = 258, 9, b""
    bits.append(f"{256:09b}")
    for value in data:
        longer = seen + bytes([value])
        if longer in table:
            seen = longer
            continue
        bits.append(f"{table[seen]:0{width}b}")
        table[longer], following, seen = following, following + 1, bytes([value])
        width = 12 if following >= 2048 else 11 if following >= 1024 else 10 if following >= 512 else 9
        assert following < 4094, "test images are small"
    bits.append(f"{table[seen]:0{width}b}")
    width = 12 if following >= 2047 else 11 if following >= 1023 else 10 if following >= 511 else 9
    bits.append(f"{257:0{width}b}")
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8)


def packbits(data: bytes) -> bytes:
    """As literal runs alone."""
    return b"".join(bytes([len(part) - 1]) + part for part in (data[i : i + 128] for i in range(0, len(data), 128)))


COMPRESSIONS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (1, bytes),
    "deflate": (8, zlib.compress),
    "lzw": (5, lzw),
    "packbits": (32773, packbits),
}


def packed(rows: np.ndarray, bits: int, order: Literal["<", ">"], fill_order: int) -> bytes:
    """Rows of values, each of which ends at a byte; (rows, values)."""
    if bits >= 8 and bits % 8 == 0:
        content = rows.astype(rows.dtype.newbyteorder(order)).tobytes()
    else:
        single = (rows[:, :, None].astype(np.uint32) >> np.arange(bits - 1, -1, -1, dtype=np.uint32)) & 1
        content = np.packbits(single.astype(np.uint8).reshape(len(rows), -1), axis=1).tobytes()
    if fill_order == 2:
        content = np.packbits(np.unpackbits(np.frombuffer(content, np.uint8)).reshape(-1, 8)[:, ::-1]).tobytes()
    return content


def write_tiff(
    pixels: np.ndarray,
    *,
    bits: int,
    photometric: int,
    compression: str = "none",
    predictor: int = 1,
    order: Literal["<", ">"] = "<",
    planar: int = 1,
    extra: Sequence[int] | None = None,
    sample_format: int = 1,
    fill_order: int = 1,
    tile: int = 0,
    big: bool = False,
    tags: Sequence[Tag] = (),
    content: bytes | None = None,
) -> bytes:
    """One page; (H, W, samples). `content` stands for the pixels, where these are packed in a way of their own."""
    height, width, samples = pixels.shape
    number, compress = COMPRESSIONS[compression]
    planes = [pixels] if planar == 1 else [pixels[:, :, k : k + 1] for k in range(samples)]
    strip = height if content else 10
    parts = []
    for plane in planes:
        blocks = [plane[y : y + strip] for y in range(0, height, strip)]
        if tile:
            whole = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)))
            blocks = [whole[y : y + tile, x : x + tile] for y in range(0, height, tile) for x in range(0, width, tile)]
        for block in blocks:
            values = block.copy()
            if predictor == 2:
                values[:, 1:] -= block[:, :-1]
            raw = content or packed(values.reshape(len(values), -1), bits, order, fill_order)
            parts.append(compress(raw))
    stored: list[Tag] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * samples), (259, 3, [number]),
        (262, 3, [photometric]), (277, 3, [samples]), (266, 3, [fill_order]), (284, 3, [planar]),
        (317, 3, [predictor]), (339, 3, [sample_format] * samples), *tags,
    ]  # fmt: skip
    if extra is not None:
        stored.append((338, 3, extra))
    stored += [(322, 4, [tile]), (323, 4, [tile])] if tile else [(278, 4, [strip])]
    offsets, place = [], 16 if big else 8
    for part in parts:
        offsets.append(place)
        place += len(part) + len(part) % 2
    stored.append((324 if tile else 273, 4, offsets))
    stored.append((325 if tile else 279, 4, [len(part) for part in parts]))
    stored.sort(key=lambda tag: tag[0])
    pointer, length, room = ("Q", "Q", 8) if big else ("I", "H", 4)
    beyond = place + struct.calcsize(f"={length}{pointer}") + len(stored) * (4 + 2 * room)
    entries = values_beyond = b""
    for tag, kind, numbers in stored:
        value = struct.pack(f"{order}{len(numbers)}{WIDTHS[kind]}", *numbers)
        if len(value) > room:
            at = beyond + len(values_beyond)
            values_beyond += value + b"\0" * (len(value) % 2)
            value = struct.pack(order + pointer, at)
        entries += struct.pack(f"{order}HH{pointer}", tag, kind, len(numbers)) + value.ljust(room, b"\0")
    start = struct.pack(f"{order}HHHQ", 43, 8, 0, place) if big else struct.pack(f"{order}HI", 42, place)
    body = b"".join(part + b"\0" * (len(part) % 2) for part in parts)
    directory = struct.pack(order + length, len(stored)) + entries + struct.pack(order + pointer, 0)
    return (b"II" if order == "<" else b"MM") + start + body + directory + values_beyond
