"""Writing that survives a kill at any moment: temporary name, fsync, rename, fsync of the folder."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from neocog.errors import StorageError

__all__ = ["append_line", "storage_errors", "whole_file", "whole_folder", "write_whole"]

TAKEN = {errno.EEXIST, errno.ENOTEMPTY}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into a StorageError that names the file."""
    try:
        yield
    except TimeoutError:
        raise  # of a lock or a network, not of the disk
    except OSError as error:
        fix = {
            errno.EACCES: "Choose a folder that you may write to.",
            errno.EROFS: "The file system is read-only.",
        }
        advice = "Free some space." if error.errno in FULL else fix.get(error.errno or 0, "Check the folder.")
        reason = error.strerror or str(error)
        raise StorageError(
            f"{path} could not be written: {reason}. What was there before is intact.", fix=advice
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete and on the disk.

    A link stays, and the file that it points to is replaced. A device or a pipe, such as /dev/stdout, is written to
    directly, since a file in its place would do harm.
    Raises StorageError if the system refuses, for instance on a full disk; the temporary file is then removed.
    """
    with storage_errors(path):
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        path = path.resolve()
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder to write to, which appears as `folder` when it is complete; of two made at once, the first stays.

    Raises StorageError if the system refuses; the temporary folder is then removed.
    """
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
        new.mkdir()
    try:
        yield new
        with storage_errors(folder):
            sync_folder(new)
            try:
                new.rename(folder)
            except OSError as error:
                if error.errno not in TAKEN:
                    raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text as UTF-8."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def append_line(path: Path, line: str) -> None:
    """Add one line to a log. A line that was left half-written by a kill is cut off first."""
    with storage_errors(path), path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        if end and (file.seek(end - 1), file.read(1))[1] != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line.encode() + b"\n")


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut; Windows neither needs nor allows it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
