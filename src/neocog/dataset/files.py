"""Files of one kind below a folder, without ever leaving it."""

import itertools
import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from stat import S_ISREG
from typing import IO

from neocog.dataset.folders import suffix_of, walk
from neocog.errors import DataError

__all__ = ["check_inflation", "files_below", "holds_files", "read_at_most", "read_limited"]

LOOKED_AT = 1_000  # files of a folder, to recognise it
CHUNK = 2**24
PLENTY = 2**28
MAX_INFLATION = 200
"""By which what was packed may become larger, where it becomes large. Pictures do by 2 to 20, zeros alone by 1,000."""


def files_below(
    folder: Path,
    suffixes: str | Collection[str],
    others: Counter[str] | None = None,
    inner: list[Path] | None = None,
    links: list[Path] | None = None,
) -> tuple[list[Path], list[str]]:
    """All files with these suffixes at any depth, sorted; and the names of links to such outside, which are no part.

    Other files are counted by suffix in `others`; the folders directly within are put into `inner`, and links to
    folders outside into `links`.
    """
    ends = (suffixes,) if isinstance(suffixes, str) else tuple(suffixes)
    found, outside, root = [], [], os.path.realpath(folder)
    to_folders: list[Path] = []
    for entry in walk(folder, follow=False, inner=inner, links=to_folders):
        if not entry.name.lower().endswith(ends):
            if others is not None:
                others[suffix_of(entry.name)] += 1
        elif entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(root):
            outside.append(entry.name)
        else:
            found.append(Path(entry.path))
    if links is not None:  # the files of others are read where they lie
        links += [link for link in to_folders if not Path(os.path.realpath(link)).is_relative_to(root)]
    return sorted(found), sorted(outside)


def holds_files(folder: Path, suffix: str) -> bool:
    """Whether there is such a file at any depth, among the first that are found."""
    entries = itertools.islice(walk(folder, follow=False), LOOKED_AT)
    return any(entry.name.lower().endswith(suffix) for entry in entries)


def read_limited(path: Path, most: int) -> bytes:
    """The bytes of a file. Raises DataError for one that is larger than `most`, or can't be read."""
    try:
        stat = path.stat()
        if not S_ISREG(stat.st_mode):  # a pipe would never end
            raise DataError(f"{path} is no plain file. Remove it.")
        size = stat.st_size
        if size <= most:
            return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error
    raise DataError(f"A file may have at most {most / 2**20:g} MiB. {path} has {size / 2**20:.1f} MiB. Divide it.")


def read_at_most(file: IO[bytes], limit: int) -> bytes:
    """Read in pieces, so that a header that lies about the size never makes us reserve that size."""
    pieces, left = [], limit
    while left and (piece := file.read(min(left, CHUNK))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def check_inflation(expected: int, packed: int) -> None:
    """Raises ValueError where so few bytes, unpacked, would fill the memory: they were made for that."""
    if expected > max(PLENTY, MAX_INFLATION * packed):
        raise ValueError(
            f"it says that its {packed:,} bytes hold {expected:,}, more than {MAX_INFLATION} times as many; save it "
            "without compression"
        )
