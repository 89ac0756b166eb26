"""Rows of the bench, and their sides."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["AREAS", "Row", "Sides", "Turn", "per_second", "seconds_of"]

Turn = Callable[[], float]
"""Does the work once, and returns a figure in the unit of its row."""

AREAS = {
    "start": "Start-up and planning",
    "data": "Data",
    "training": "Training",
    "images": "Your own images",
    "tasks": "Tasks",
    "explain": "Explanations",
    "ship": "Engines and serving",
}
"""The parts of the table, in order, with their titles."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Those that take turns: Neocog first, then its peers.

    Parameters
    ----------
    turns
        By name. The first is Neocog's, each other one that of a peer.
    note
        What a reader must know of this measurement, such as the precision that was chosen.
    absent
        Peers that could not take part, with the reason: name -> reason.
    """

    turns: dict[str, Turn]
    note: str = ""
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: the same work, done by Neocog and by its peers in turns.

    Parameters
    ----------
    name
        Lower-case words with hyphens, for `make bench-one NAME=`.
    area
        A key of `AREAS`.
    what
        The work, in a few words, with its sizes.
    unit
        Of the figures, such as images/s, s, MB.
    better
        Whether more or less of it is better.
    prepare
        A generator that takes an empty folder, makes what both sides need, checks that they compute the same, yields
        the sides once, and cleans up.
    target
        How many times as good as the first peer Neocog should be at least; None if nothing is asked.
    limit
        A bound on Neocog's own figure: at most (or, if more is better, at least) this many units.
    repeats
        Turns of each side that count.
    warmup
        Turns of each side before them.
    bound
        The other sides do less than Neocog, such as importing torch alone: they are a measure, and nobody wins.
    """

    name: str
    area: str
    what: str
    unit: str
    better: Literal["more", "less"]
    prepare: Callable[[Path], Iterator[Sides]]
    target: float | None = None
    limit: float | None = None
    repeats: int = 10
    warmup: int = 1
    bound: bool = False


def seconds_of(work: Callable[[], object], times: int = 1) -> Turn:
    """A turn that returns the seconds, by the clock, of doing the work once, from doing it `times` times."""

    def turn() -> float:
        began = time.perf_counter()
        for _ in range(times):
            work()
        return (time.perf_counter() - began) / times

    return turn


def per_second(count: int, work: Callable[[], object]) -> Turn:
    """A turn that returns how many things a second are done by work that does `count` of them."""
    turn = seconds_of(work)
    return lambda: count / turn()
