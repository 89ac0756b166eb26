"""The candidates that take part in a search, by their measured pace; one alone if the time is too short for a race."""

from collections.abc import Sequence

import torch

from neocog.auto.budget import Budget
from neocog.auto.candidate import Candidate
from neocog.auto.facts import Facts
from neocog.auto.journal import Journal
from neocog.auto.race import explain_left_out, shortest_race
from neocog.auto.screen import MOST_SCORING, Pace, affordable, fitted, learns, scoring_seconds, time_candidate
from neocog.progress import note

__all__ = ["choose_entrants"]

TRAINING = 0.6
"""Of the time that is left, about, for the training of the winner."""
TIMING = 0.06
"""Of the budget, after which no other candidate is timed; with the look at the data, a tenth."""
FEWEST = 2
"""Candidates that are timed in any case: the first may be far too slow."""


def choose_entrants(
    table: Sequence[Candidate], facts: Facts, journal: Journal, budget: Budget, device: torch.device
) -> list[Candidate]:
    """The candidates that this machine can train in the time, fitted to it; on a GPU, all of them.

    If two can't be tried in their share of the time, the search is left out: the first that learns something in the
    time is the only one. Tables begin with what is best for a short time.
    """
    if len(table) < 2:
        return list(table)
    left = journal.once("left", budget.left, budget.used)
    is_short = left < shortest_race(table)
    if is_short:
        journal.once("left out", lambda: explain_left_out(budget, table), budget.used)
    if device.type != "cpu":
        return list(table[:1] if is_short else table)
    measured = journal.once("paces", lambda: time_all(table, facts, budget, first=is_short), budget.used)
    paces = {name: Pace(*found) for name, found in measured.items() if found is not None}
    table = [candidate for candidate in table if candidate.name in measured]
    seconds = journal.once(
        "seconds", lambda: budget.for_training() if is_short else TRAINING * budget.for_training(), budget.used
    )
    places = affordable(table, paces, facts, seconds)[: 1 if is_short else None]
    for line in scoring_lines(
        [paces[table[place].name] for place in places if table[place].name in paces], facts, seconds
    ):
        note(f"  {line}")
    return [fitted(table[place], paces.get(table[place].name), seconds, facts) for place in places]


def scoring_lines(paces: Sequence[Pace], facts: Facts, seconds: float) -> list[str]:
    """A sentence if even the fastest network takes most of its time for the test split."""
    needed = min((scoring_seconds(pace, facts) for pace in paces), default=0.0)
    if needed <= MOST_SCORING * seconds:
        return []
    return [f"scoring {facts.num_test:,} test images alone takes about {needed:.0f} s: give it more --minutes"]


def time_all(table: Sequence[Candidate], facts: Facts, budget: Budget, *, first: bool) -> dict[str, Pace | None]:
    """How fast each candidate is trained on this CPU, None if that is not known, until the time for it is up.

    With `first`, only up to the first candidate that learns something in the time.
    """
    found: dict[str, Pace | None] = {}
    until = budget.used() + TIMING * budget.seconds
    for candidate in table:
        if len(found) >= FEWEST and budget.used() >= until:
            break
        pace = found[candidate.name] = time_candidate(candidate, facts)
        if first and learns(candidate, pace, facts, budget.for_training()):
            break
    return found
