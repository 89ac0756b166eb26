"""How far a scoring run is: a bar in a terminal, a line a minute elsewhere, over what all processes do together."""

import time
from types import TracebackType
from typing import Any, Self

from neocog.errors import some
from neocog.offline.job import Job
from neocog.progress import Bar, note

__all__ = ["Meter"]

LOOK = 2.0  # seconds between two looks at what the other processes have done
LINE = 60.0  # seconds between two lines where no bar is shown


class Meter:
    """The progress of a run; `seen` counts an input of this process, `wrote` a block."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.bar = Bar("predicting", job.num_files)
        self.done = self.count()
        self.at_start, self.pending = self.done, 0
        self.started = self.looked = self.told = time.monotonic()
        self.waiting = False

    def __enter__(self) -> Self:
        self.bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.__exit__(kind, error, at)

    def count(self) -> int:
        """The files of all blocks that are done."""
        return sum(map(self.job.files_in, self.job.done()))

    def seen(self, count: int) -> None:
        """This process has computed `count` more files of a block that isn't done."""
        self.pending += count
        self.show()

    def wrote(self, rows: list[dict[str, Any]]) -> None:
        """A block of this process is done. A line if none of its files could be read: then hardly any can."""
        self.done += len(rows)
        self.pending = max(0, self.pending - len(rows))
        failed = [row for row in rows if row["error"] is not None]
        if len(failed) == len(rows) > 1:
            note(f"warning: none of the {len(rows):,} files of a block could be read: {failed[0]['error']}")
        self.show()

    def look(self) -> None:
        """Other processes may have done something."""
        self.done = self.count()
        self.show()

    def wait(self, seconds: float) -> None:
        """Sleep, because what is left is with other processes."""
        if not self.waiting:
            self.waiting = True
            left = sorted(set(range(len(self.job))) - self.job.done())
            if left:
                note(f"Waiting for blocks that other processes compute: {some(left, 5)}.")
        time.sleep(seconds)
        self.show()

    def show(self) -> None:
        now = time.monotonic()
        if now - self.looked > LOOK:
            self.looked, self.done = now, self.count()
        done = min(self.job.num_files, self.done + self.pending)
        rate = (done - self.at_start) / max(1e-9, now - self.started)
        self.bar.draw(done, f"{rate:,.0f} files/s")
        if not self.bar.shown and now - self.told > LINE:
            self.told = now
            left = f", about {spoken((self.job.num_files - done) / rate)} left" if rate else ""
            note(f"{done:,} of {self.job.num_files:,} files, {rate:,.0f} files/s{left}.")


def spoken(seconds: float) -> str:
    """A length of time in words.

    >>> spoken(40), spoken(1500), spoken(9000)
    ('40 s', '25 min', '2.5 h')
    """
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )
