"""One writer to a folder: a lock that the system itself releases when the process ends, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neocog.errors import RunError
from neocog.files.whole import storage_errors

__all__ = ["folder_lock"]


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder for this process.

    Raises RunError if another process holds it.
    """
    import filelock  # not by those who only read

    lock = filelock.FileLock(folder / ".lock", blocking=False)
    try:
        with storage_errors(folder / ".lock"):
            lock.acquire()
    except filelock.Timeout:
        raise RunError(
            f"Only one process at a time can write a run folder. {folder} is being written by another one.",
            fix="Wait for it, stop it, or choose another --name.",
        ) from None
    try:
        yield
    finally:
        lock.release()
