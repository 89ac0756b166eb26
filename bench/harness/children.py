"""Turns that need a process of their own, and the memory that a process and its children hold."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

__all__ = ["Peak", "held_bytes", "peak_memory", "run_child"]

BENCH = Path(__file__).parents[1]
EVERY = 0.02  # seconds between two looks at the memory


def run_child(file: str | Path, *arguments: object) -> Any:
    """Run a file of the bench with these arguments in a process of its own; returns the JSON that it prints."""
    path = os.pathsep.join([str(BENCH), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, str(file), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


def held_bytes() -> int:
    """Memory of this process and its children (proportional set size, so that shared pages count once)."""
    total = 0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it has just ended
            continue
    return total


class Peak:
    """The most bytes that were held within a block beyond those at its start."""

    def __init__(self) -> None:
        self.start = self.most = held_bytes()

    def look(self) -> None:
        self.most = max(self.most, held_bytes())

    @property
    def megabytes(self) -> float:
        return (self.most - self.start) / 1e6


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Take the memory of this process and its children again and again, from a thread."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(EVERY):
            peak.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
