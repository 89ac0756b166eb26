"""Files of one kind below a folder, without ever leaving it."""

import itertools
import os
from pathlib import Path
from stat import S_ISREG

from neocog.data.sources.folder import walk
from neocog.errors import DataError

__all__ = ["files_below", "holds_files", "read_limited"]

LOOKED_AT = 1_000  # files of a folder, to recognise it


def files_below(folder: Path, suffix: str) -> tuple[list[Path], list[str]]:
    """All files with this suffix at any depth, sorted; and the names of links to files outside, which are no part."""
    found, outside, root = [], [], os.path.realpath(folder)
    for entry in walk(folder, follow=False):
        if not entry.name.lower().endswith(suffix):
            continue
        if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(root):
            outside.append(entry.name)
        else:
            found.append(Path(entry.path))
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
