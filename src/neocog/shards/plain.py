"""Many records of a tar at once: their headers are checked as one array, without a step for each record.

Records are accepted as `TarWriter` and most other programs write them: plain files with short names, the same members
in the same order. Their members are those that `walk_tar` and `group_members` find. All other records, and all that is
damaged, are left to these two, and so are the errors.
Source: POSIX.1-2001, ustar; the places of the fields are those of `tar.PLAIN`.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.shards.scan import member_key
from neocog.shards.tar import BLOCK

__all__ = ["FEWEST", "Places", "PlainMembers", "find_plain_members", "names_in_tar"]

FEWEST = 4  # records for which an array is faster than a loop
NAME = 100  # bytes
SIZE, SIZE_END = slice(124, 135), 135
OCTAL = [*range(124, 135), *range(148, 154)]  # the digits of the size and of the checksum
FIXED = [154, 155, 156, 257, 258, 259, 260, 261, 345]
FIXED_VALUES = np.frombuffer(b"\0 0ustar\0", np.uint8)
"""The checksum's end, the type of a plain file, the format's magic, and no beginning of a longer name."""
ZERO = float(ord("0"))
POWERS = 8.0 ** np.arange(10, -1, -1)
SUMS = np.zeros(len(OCTAL))
SUMS[-6:] = POWERS[-6:] + 1
"""Of the checksum's digits: the checksum, and what it counts as 8 blanks instead of these digits and their end."""
BLANKS = 6 * ord("0") + ord(" ") - 8 * ord(" ")
UNQUOTED = re.compile(r"[A-Za-z0-9/_\-. \0]*")

Places = NDArray[np.int64]


class PlainMembers(NamedTuple):
    """The n records that were accepted, by their numbers, (n,), and where the content of each member lies, (n,)."""

    rows: Places
    places: dict[str, tuple[Places, Places]]

    def cut(self, content: bytes, extension: str) -> list[bytes]:
        """A member of each record."""
        starts, stops = self.places[extension]
        return [content[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]


def find_plain_members(
    content: bytes, starts: Places, stops: Places, names: Sequence[bytes], extensions: Sequence[str]
) -> PlainMembers:
    """The members of records that lie there in these bytes of a tar, if they have these names and extensions."""
    if len(content) < BLOCK:
        return PlainMembers(np.empty(0, np.int64), {})
    blocks = np.frombuffer(content, np.uint8, len(content) // BLOCK * BLOCK).reshape(-1, BLOCK)
    accepted = (starts % BLOCK == 0) & (stops <= len(content))
    places, headers, position = {}, [], starts
    for extension in extensions:
        accepted &= position + BLOCK <= stops
        header = np.minimum(position // BLOCK, len(blocks) - 1)
        first = position + BLOCK
        last = first + (blocks[header, SIZE] - ZERO).dot(POWERS).astype(np.int64)
        accepted &= (first <= last) & (last <= stops)
        position = np.where(accepted, last + -last % BLOCK, starts)
        places[extension] = first, last
        headers.append(header)
    accepted &= position >= stops
    found = blocks.take(np.concatenate(headers), axis=0)
    accepted &= are_plain(found).reshape(-1, len(starts)).all(axis=0)
    wanted = [name + suffix for suffix in (b"." + e.encode() for e in extensions) for name in names]
    there = np.ascontiguousarray(found[:, :NAME]).view(f"S{NAME}").ravel().tolist()
    if there != wanted:
        same = np.array([a == b for a, b in zip(there, wanted, strict=True)])
        accepted &= same.reshape(-1, len(starts)).all(axis=0)
    rows = np.flatnonzero(accepted)
    return PlainMembers(rows, {extension: (first[rows], last[rows]) for extension, (first, last) in places.items()})


def are_plain(headers: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which headers `read_plain_header` reads: their fields are plain and the checksum is theirs; (n, 512) -> (n,)."""
    octal = headers[:, OCTAL]
    checksums = (octal - ZERO).dot(SUMS) + BLANKS
    accepted = headers.sum(axis=1, dtype=np.uint32) == checksums
    accepted &= (octal & 0xF8 == ord("0")).all(axis=1)
    accepted &= (headers[:, FIXED] == FIXED_VALUES).all(axis=1)
    accepted &= headers[:, SIZE_END] | ord(" ") == ord(" ")
    return np.asarray(accepted)


def names_in_tar(shard: str, keys: Sequence[str], *, packed: bool) -> list[bytes] | None:
    """The names of records in a tar, the inverse of `record_key`; None if one is not plain.

    >>> names_in_tar("train-0.tar", ["train-0/a/1", "train-0/a/2"], packed=False)
    [b'a/1', b'a/2']
    >>> names_in_tar("train-0.tar", ["a/1.png", "ä/2.png"], packed=True)
    [b'a/1%2Epng', b'%C3%A4/2%2Epng']
    """
    joined = "\0" + "\0".join(keys)
    if joined.count("\0") != len(keys):
        return None
    if packed:
        plain = UNQUOTED.fullmatch(joined)
        joined = joined.replace(".", "%2E") if plain else "\0" + "\0".join(map(member_key, keys))
    else:
        prefix = f"\0{shard.removesuffix(PurePosixPath(shard).suffix)}/"
        if joined.count(prefix) != len(keys):
            return None
        joined = joined.replace(prefix, "\0")
    joined += "\0"
    if "." in joined or "\0/" in joined or "/\0" in joined or "\0\0" in joined:
        return None  # a name ends at its first dot, and a path may not leave its folder
    return joined.encode("utf-8", "surrogateescape").split(b"\0")[1:-1]
