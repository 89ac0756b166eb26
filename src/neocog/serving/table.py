"""The table that the workers of a server share: who lives, who serves, and whose golden samples still pass.

A small file that every process maps into its memory. Each worker writes its own row only, several times a second; all
of them and the supervisor read it. Times are those of `time.monotonic`, which all processes of a machine share.
"""

import mmap
import struct
import time
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

__all__ = ["STALE", "WorkerRow", "WorkerState", "WorkerTable"]

STALE = 0.75  # seconds without a heartbeat after which a worker does not count as alive
ROW = struct.Struct("<qqdqd")
WIDTH = 64  # bytes of a row, so that no two workers write to one cache line


class WorkerState(IntEnum):
    """The state of a worker."""

    ABSENT = 0
    STARTING = 1
    SERVING = 2
    DRAINING = 3


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """Everything that is known of a worker."""

    pid: int = 0
    state: WorkerState = WorkerState.ABSENT
    beat: float = 0.0
    """When its event loop last ran."""
    passed: bool = True
    """Whether its golden samples passed when they were last asked."""
    checked: float = 0.0
    """When that was."""

    def serves(self, now: float) -> bool:
        """Whether it answers requests: its event loop has just run, and its golden samples passed."""
        return self.state is WorkerState.SERVING and now - self.beat <= STALE and self.passed


class WorkerTable:
    """Rows of workers in a file; the first row holds when readiness was last asked for.

    >>> import tempfile
    >>> table = WorkerTable(Path(tempfile.mkdtemp()) / "workers", 2)
    >>> table.write(1, WorkerRow(pid=42, state=WorkerState.SERVING, beat=1.0))
    >>> [row.pid for row in table.rows()]
    [0, 42]
    """

    def __init__(self, path: Path, num_workers: int) -> None:
        """Open the table, or make it if the file does not exist yet."""
        self.num_workers = num_workers
        size = WIDTH * (num_workers + 1)
        with path.open("a+b") as file:
            if file.tell() < size:
                file.truncate(size)
            self.memory = mmap.mmap(file.fileno(), size)

    def write(self, slot: int, row: WorkerRow) -> None:
        """Set the row of a worker, in one assignment, which no reader sees half done."""
        packed = ROW.pack(row.pid, row.state, row.beat, row.passed, row.checked)
        start = WIDTH * (slot + 1)
        self.memory[start : start + ROW.size] = packed

    def row(self, slot: int) -> WorkerRow:
        """The row of a worker."""
        pid, state, beat, passed, checked = ROW.unpack_from(self.memory, WIDTH * (slot + 1))
        return WorkerRow(pid, WorkerState(state), beat, bool(passed), checked)

    def rows(self) -> list[WorkerRow]:
        """The rows of all workers."""
        return [self.row(slot) for slot in range(self.num_workers)]

    def clear(self, slot: int) -> None:
        """Note that a worker is gone."""
        self.write(slot, WorkerRow())

    @property
    def asked(self) -> float:
        """When readiness was last asked for, of any worker."""
        return float(struct.unpack_from("<d", self.memory)[0])

    def ask(self) -> None:
        """Have all workers check their golden samples, if their last check is too old."""
        self.memory[:8] = struct.pack("<d", time.monotonic())

    def close(self) -> None:
        """Give the memory back."""
        self.memory.close()
