"""A child process with a time limit, which ends with all that it started."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["last_lines", "run_child"]


def run_child(command: Sequence[str], log: Path, limit: float) -> str:
    """Run a command with its output in a file; returns why it failed, or nothing.

    However it ends, in time or not, or with an exception here such as KeyboardInterrupt: nothing that it started
    remains, to disturb what is measured next.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = child.wait(limit)
        except subprocess.TimeoutExpired:
            return f"it was ended after {limit:g} s"
        finally:
            end_all(child)
    if code == 0:
        return ""
    said = last_lines(log, 1)
    return said[0] if said else f"it ended with exit code {code} and said nothing"


def end_all(child: "subprocess.Popen[bytes]") -> None:
    """End a child, its process group, and those of its descendants that left the group."""
    descendants = []
    with suppress(psutil.NoSuchProcess):
        descendants = psutil.Process(child.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    for process in descendants:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait()


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a file that are not empty."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if line.strip()][-count:]
