"""Results on standard output, which may be a full disk or a reader that has gone."""

import json
import os
import sys

from neocog.errors import StorageError

__all__ = ["silence_stdout", "write_address", "write_out"]


def write_out(text: str) -> None:
    """Write lines to standard output.

    Raises StorageError if they can't be written; `main` handles a reader that has gone.
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence_stdout()
        raise StorageError(f"Standard output could not be written: {error.strerror}.") from error


def write_address(address: str) -> None:
    """Write the address of a server for a program, at once."""
    write_out(json.dumps({"address": address}))


def silence_stdout() -> None:
    """Discard buffered output, or Python complains when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
