"""Progress of long jobs: one live bar in a terminal or notebook, plain lines elsewhere, nothing when quiet.

Everything here goes to standard error, so that results on standard output can be piped; or, within `follow`, to
whoever follows the job, such as a page.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console

__all__ = ["Bar", "follow", "note", "quiet", "track"]

T = TypeVar("T")
REFRESH = 0.1  # seconds between two drawings; the work must not wait for its display

console = Console(stderr=True, force_jupyter=False, highlight=False, emoji=False)


@dataclass(slots=True)
class Follower:
    """Whoever follows a job: `levels` holds how much is done and the total of each loop that runs, outermost first."""

    progress: Callable[[str, float], None]
    note: Callable[[str], None]
    levels: list[tuple[float, float]] = field(default_factory=list)

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        place = len(self.levels)
        self.levels.append((0, total))
        try:
            for done, item in enumerate(items):
                self.levels[place] = done, total
                self.progress(label, self.share())
                yield item
        finally:
            del self.levels[place:]

    def share(self) -> float:
        """How much of the outermost loop is done, from 0 to 1."""
        share = 0.0
        for done, total in reversed(self.levels):
            share = min(1.0, (done + share) / total) if total else share
        return share


following: ContextVar[Follower | None] = ContextVar("following", default=None)


@contextmanager
def follow(progress: Callable[[str, float], None], tell: Callable[[str], None]) -> Iterator[None]:
    """Within this block and thread, `progress(label, share)` takes the place of bars, `tell(message)` of notes.

    The share is how much of the outermost loop is done, from 0 to 1. What `progress` raises stops the work.

    >>> seen = []
    >>> with follow(lambda label, share: seen.append(share), print):
    ...     for _ in track(range(2), "outer"):
    ...         for _ in track(range(2), "inner"):
    ...             pass
    >>> seen
    [0.0, 0.0, 0.25, 0.5, 0.5, 0.75]
    >>> with follow(lambda label, share: print(label, share), print), Bar("a bar", 4) as bar:
    ...     bar.draw(1)
    a bar 0.25
    """
    token = following.set(Follower(progress, tell))
    try:
        yield
    finally:
        following.reset(token)


def note(message: str) -> None:
    """Print one line for the user, above the bar if there is one."""
    follower = following.get()
    if follower is not None:
        follower.note(message)
        return
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
        from rich.progress import (  # few commands are long enough for a bar
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
        )
        tail = (TextColumn("{task.fields[text]}"), TimeRemainingColumn(compact=True))
        # No refresh thread: it would compete with the work for the interpreter. `draw` draws.
        self.progress = Progress(*columns, *tail, console=console, auto_refresh=False, transient=True)
        self.follower, self.total, self.place, self.label = following.get(), total, 0, label
        self.shown = self.follower is None and (console.is_terminal or console.is_jupyter) and not console.quiet
        self.task = self.progress.add_task(label, total=total, text="")
        self.drawn = 0.0

    def __enter__(self) -> Self:
        if self.follower is not None:
            self.place = len(self.follower.levels)
            self.follower.levels.append((0, self.total))
        if self.shown:
            self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.follower is not None:
            del self.follower.levels[self.place :]
        if self.shown:
            self.progress.stop()

    @property
    def due(self) -> bool:
        """Whether it is time to draw again; ask before making a text that nobody will see."""
        return self.shown and time.monotonic() - self.drawn >= REFRESH

    def draw(self, completed: float, text: str = "", label: str | None = None) -> None:
        """Show the progress, if it is time to; whoever follows the work is told each time."""
        if self.follower is not None:
            self.follower.levels[self.place] = completed, self.total
            self.follower.progress(label or self.label, self.follower.share())
        if self.due:
            self.drawn = time.monotonic()
            self.progress.update(self.task, completed=completed, text=text, description=label)
            self.progress.refresh()


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Iterate over the items with a bar."""
    count = total if total is not None else len(items) if isinstance(items, Sized) else 0
    follower = following.get()
    if follower is not None:
        yield from follower.track(items, label, count)
        return
    with Bar(label, count) as bar:
        for done, item in enumerate(items):
            bar.draw(done)
            yield item
