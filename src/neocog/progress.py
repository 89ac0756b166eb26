"""Progress of long jobs: one live bar in a terminal or notebook, plain lines elsewhere, nothing when quiet.

Everything here goes to standard error, so that results on standard output can be piped.
"""

import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

__all__ = ["Bar", "note", "quiet", "track"]

T = TypeVar("T")
REFRESH = 0.1  # seconds between two drawings; the work must not wait for its display

console = Console(stderr=True, force_jupyter=False, highlight=False)


def note(message: str) -> None:
    """Print one line for the user, above the bar if there is one."""
    console.print(message, markup=False, soft_wrap=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Show nothing within this block."""
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before


class Bar:
    """A bar with a changing text, drawn at most ten times a second however often it is updated."""

    def __init__(self, label: str, total: float) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
        )
        tail = (TextColumn("{task.fields[text]}"), TimeRemainingColumn(compact=True))
        # No refresh thread: it would compete with the work for the interpreter. `draw` draws.
        self.progress = Progress(*columns, *tail, console=console, auto_refresh=False, transient=True)
        self.shown = (console.is_terminal or console.is_jupyter) and not console.quiet
        self.task = self.progress.add_task(label, total=total, text="")
        self.drawn = 0.0

    def __enter__(self) -> Self:
        if self.shown:
            self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.shown:
            self.progress.stop()

    @property
    def due(self) -> bool:
        """Whether it is time to draw again; ask before making a text that nobody will see."""
        return self.shown and time.monotonic() - self.drawn >= REFRESH

    def draw(self, completed: float, text: str = "", label: str | None = None) -> None:
        """Show the progress, if it is time to."""
        if self.due:
            self.drawn = time.monotonic()
            self.progress.update(self.task, completed=completed, text=text, description=label)
            self.progress.refresh()


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Iterate over the items with a bar."""
    count = total if total is not None else len(items) if isinstance(items, Sized) else 0
    with Bar(label, count) as bar:
        for done, item in enumerate(items):
            bar.draw(done)
            yield item
