"""Walking folders, leaving out what nobody means as data, and reading files within bounds."""

import itertools
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from operator import attrgetter
from pathlib import Path
from stat import S_ISREG
from typing import IO

from neocog.errors import DataError

__all__ = [
    "check_inflation", "class_folders", "hidden", "holds_files", "is_kind", "leads_back", "list_files", "plain_files",
    "read_at_most", "read_limited", "size_bytes", "suffix_of", "walk",
]  # fmt: skip

CLUTTER = frozenset(
    {
        # Windows
        "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "recycler", "found.000",
        "system volume information",
        # macOS
        "__macosx", "icon\r", "network trash folder", "temporary items", "resource.frk",
        # Linux, Android, and the file servers of Synology, QNAP and NetApp
        "lost+found", "lost.dir", "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@transcode",
        "@tmp", "@syno", "~snapshot",
        # Python, Spark and Hadoop
        "__pycache__", "_success", "_temporary", "_metadata", "_common_metadata", "_spark_metadata", "_delta_log",
    }
)  # fmt: skip
LEFT_FILES = (".crc", ".lock")
"""Ends of the names of checksums and locks."""
MAX_LINKS = 10_000
"""Links to folders that are followed: links to folders of links can make few folders look like millions."""
LOOKED_AT = 1_000  # files of a folder, to recognise it
CHUNK, PLENTY = 2**24, 2**28
MAX_INFLATION = 200
"""The largest ratio of unpacked to packed size once it is large. Images reach 2 to 20, zeros alone 1,000."""


def hidden(name: str) -> bool:
    """Whether a name is one of those that programs leave in folders, and nobody means as data."""
    if name.startswith((".", "~$")):
        return True
    small = name.lower()
    return small in CLUTTER or small.endswith(LEFT_FILES)


def suffix_of(name: str) -> str:
    """The suffix of a file's name, in small letters, as of a `Path`, which takes longer to make."""
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem.strip(".") and suffix else ""


def class_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not hidden(path.name))


def plain_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not hidden(path.name))


def is_kind(test: Callable[[], bool]) -> bool:
    """Whether an entry is what the test says; not if it is a link to itself."""
    try:
        return test()
    except OSError:
        return False


def leads_back(path: Path) -> bool:
    """Whether a folder is a link to one that holds it, or that was gone through on the way to it."""
    return path.is_symlink() and path.resolve() in {folder.resolve() for folder in path.absolute().parents}


def listing(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, sorted; none if it can't be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def walk(
    folder: Path, *, follow: bool = True, inner: list[Path] | None = None, links: list[Path] | None = None
) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder, at any depth, that is not a folder itself and that anyone means as data.

    With `follow`, links to folders are followed; otherwise they are put into `links`. The folders directly within
    `folder` are put into `inner`. Raises DataError for more than `MAX_LINKS` links.
    """
    folders, num_links, links = [folder], 0, [] if links is None else links
    while folders:
        for entry in listing(folders.pop()):
            if hidden(entry.name):
                continue
            if not is_kind(entry.is_dir):
                yield entry
            elif not entry.is_symlink():
                folders.append(Path(entry.path))
            elif not leads_back(Path(entry.path)):
                (folders if follow else links).append(Path(entry.path))
                num_links += follow
            if num_links > MAX_LINKS:
                rule = f"At most {MAX_LINKS:,} links to folders are followed. {folder} has more."
                raise DataError(rule, fix="Put the files themselves there.")
        if inner is not None:
            inner += folders
            inner = None


def list_files(
    folder: Path,
    suffixes: Collection[str],
    others: Counter[str],
    inner: list[Path] | None = None,
    links: list[Path] | None = None,
) -> list[Path]:
    """All files with these suffixes at any depth, sorted; others are counted by suffix in `others`.

    Links are followed, unless `links` is given: those to such files, and to folders, outside the folder go there. The
    folders directly within are put into `inner`.
    """
    found, outside, root = list[Path](), list[Path](), os.path.realpath(folder)
    for entry in walk(folder, follow=links is None, inner=inner, links=outside):
        suffix = suffix_of(entry.name)
        if links is None and not is_kind(entry.is_file):  # a pipe would never end
            others["broken links or pipes"] += 1
        elif suffix not in suffixes:
            others[suffix] += 1
        else:
            (outside if links is not None and entry.is_symlink() else found).append(Path(entry.path))
    for link in outside:  # one within the folder leads to what is read there
        inside = Path(os.path.realpath(link)).is_relative_to(root)
        if not inside and links is not None:
            links.append(link)
        elif inside and not link.is_dir():
            found.append(link)
    return sorted(found, key=attrgetter("parts"))  # the order of paths themselves, several times as fast


def holds_files(folder: Path, suffix: str) -> bool:
    """Whether there is such a file at any depth, among the first that are found."""
    return any(suffix_of(entry.name) == suffix for entry in itertools.islice(walk(folder, follow=False), LOOKED_AT))


def size_bytes(path: Path) -> bytes:
    """A file's size, for a fingerprint. Raises DataError if it can't be read."""
    try:
        return path.stat().st_size.to_bytes(8, "little")
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error


def read_limited(path: Path, most: int, what: str = "A file") -> bytes:
    """The bytes of a file. Raises DataError for one that is larger than `most`, or can't be read."""
    try:
        stat = path.stat()
        if not S_ISREG(stat.st_mode):  # a pipe would never end
            raise DataError(f"{path} is not a plain file.", fix="Replace or remove it.")
        if stat.st_size <= most:
            return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error
    rule = f"{what} may have at most {most:,} bytes."
    raise DataError(rule, received=f"{stat.st_size:,}", where=str(path), fix="Shrink, cut or divide it.")


def read_at_most(file: IO[bytes], limit: int) -> bytes:
    """Read in pieces, so that a header that lies about the size never makes us reserve that size."""
    pieces, left = [], limit
    while left and (piece := file.read(min(left, CHUNK))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def check_inflation(expected: int, packed: int) -> None:
    """Raises ValueError if a few bytes, unpacked, would fill the memory: they were made for that."""
    if expected > max(PLENTY, MAX_INFLATION * packed):
        says = f"it says that its {packed:,} bytes hold {expected:,}, more than {MAX_INFLATION} times as many"
        raise ValueError(f"{says}; save it without compression")
