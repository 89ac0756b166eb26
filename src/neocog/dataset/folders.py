"""What lies in folders: the files that anyone means as data, at any depth."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from operator import attrgetter
from pathlib import Path

from neocog.errors import DataError

__all__ = ["class_folders", "hidden", "is_kind", "list_files", "plain_files", "size_bytes", "suffix_of", "walk"]

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


def class_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not hidden(path.name))


def list_files(
    folder: Path, suffixes: Collection[str], strangers: Counter[str], inner: list[Path] | None = None
) -> list[Path]:
    """All files of these kinds below a folder, sorted; what else there is is counted by extension in `strangers`.

    The folders directly within it are put into `inner`.
    """
    found = []
    for entry in walk(folder, inner=inner):
        plain, suffix = is_kind(entry.is_file), suffix_of(entry.name)
        if plain and suffix in suffixes:  # a pipe that carries such a name would never end
            found.append(Path(entry.path))
        else:
            strangers[suffix if plain else "broken links or pipes"] += 1
    return sorted(found, key=attrgetter("parts"))  # the order of paths themselves, several times as fast


def suffix_of(name: str) -> str:
    """The suffix of a file's name, in small letters, as of a `Path`, which takes longer to make."""
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem.strip(".") and suffix else ""


def walk(
    folder: Path, *, follow: bool = True, inner: list[Path] | None = None, links: list[Path] | None = None
) -> Iterator[os.DirEntry[str]]:
    """All below a folder, at any depth, that is no folder itself and that anyone means as data.

    With `follow`, links to folders are followed; else they are put into `links`. The folders directly within `folder`
    are put into `inner`. Raises DataError for more than `MAX_LINKS` links.
    """
    folders, num_links = [folder], 0
    while folders:
        for entry in listing(folders.pop()):
            if hidden(entry.name):
                continue
            if not is_kind(entry.is_dir):
                yield entry
            elif not entry.is_symlink():
                folders.append(Path(entry.path))
            elif not leads_back(Path(entry.path)):
                if follow:
                    folders.append(Path(entry.path))
                    num_links += 1
                elif links is not None:
                    links.append(Path(entry.path))
            if num_links > MAX_LINKS:
                raise DataError(
                    f"At most {MAX_LINKS:,} links to folders are followed. {folder} has more, or they lead to each "
                    "other. Put the files themselves there."
                )
        if inner is not None:
            inner += folders
            inner = None


def listing(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted; nothing where that can't be told."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def is_kind(test: Callable[[], bool]) -> bool:
    """Whether an entry is what the test says; not if it is a link to itself."""
    try:
        return test()
    except OSError:
        return False


def size_bytes(path: Path) -> bytes:
    """A file's size, for a fingerprint. Raises DataError where there is none any more."""
    try:
        return path.stat().st_size.to_bytes(8, "little")
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error


def plain_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not hidden(path.name))


def hidden(name: str) -> bool:
    """What programs leave in folders, and nobody means as data."""
    if name.startswith((".", "~$")):
        return True
    small = name.lower()
    return small in CLUTTER or small.endswith(LEFT_FILES)


def leads_back(path: Path) -> bool:
    """Whether a folder is a link to one that holds it, or that was gone through on the way to it."""
    return path.is_symlink() and path.resolve() in {folder.resolve() for folder in path.absolute().parents}
