"""Writing results where they were asked for: standard output, which may be a full disk or a reader that has gone."""

import os
import sys

from neocog.errors import StorageError

__all__ = ["silence_stdout", "write_out"]


def write_out(text: str) -> None:
    """A line or more on standard output.

    Raises StorageError where it can't be written; a reader that has gone is left to `main`.
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence_stdout()
        raise StorageError(f"Standard output could not be written: {error.strerror}.") from error


def silence_stdout() -> None:
    """Send what is still buffered nowhere, or Python complains about it when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
