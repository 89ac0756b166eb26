"""The JSON of a measured row, and who wins in it.

`NAME.json` is one object, and `figures.json` a list of them, in the order of the table:

    schema                       1
    name, area, what, unit       of the row, as in `Row`
    better                       "more" or "less"
    target                       times as good as the first peer that is asked, or null
    limit                        bound on Neocog's figure that is asked, or null
    bound                        whether the other sides do less than Neocog, so that nobody wins
    turns                        {side: [figure of each turn that counted]}; Neocog first; equal lengths; the figures at
                                 one place are of one round
    note                         what a reader must know of this measurement
    absent                       {peer that could not take part: reason}
    seconds                      of the whole row: what was prepared, turns before those that count, turns
    date                         when it began, in UTC
    commit                       of the checkout; ends in "+" if tracked files had been changed
    conditions
        busy_before              share of the processors that was busy in the half second before
        others                   share of the processors that other programs took meanwhile, about
        stolen                   share that the host of a virtual machine gave to others meanwhile
    machine                      cpu, features, cores, memory_gb, system, python, versions {package: version or null}
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.row import Row
from harness.turns import ENOUGH, Interval, interval, ratio

__all__ = ["Comparison", "Outcome", "Result", "best_peer", "compare", "keeps_limit", "own_interval", "read", "write"]

Result = dict[str, Any]
Outcome = Literal["wins", "as good", "peer wins", "a bound", "too few turns"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Neocog beside one peer. `times`: how many times as good Neocog is."""

    peer: str
    figures: Interval
    """Of the peer."""
    times: Interval
    outcome: Outcome
    target: float | None
    """The least that `times` should be; None for all peers but the first."""

    @property
    def reaches_target(self) -> bool | None:
        """Whether the median does; None without a target."""
        return None if self.target is None else self.times.median >= self.target


def compare(result: Result) -> list[Comparison]:
    """Neocog beside each of the peers of a row, in their order."""
    (_, own), *peers = result["turns"].items()
    found = []
    for number, (name, turns) in enumerate(peers):
        times = ratio(own, turns, result["better"])
        target = result["target"] if number == 0 else None
        found.append(
            Comparison(name, interval(turns), times, outcome_of(times, len(turns), bound=result["bound"]), target)
        )
    return found


def outcome_of(times: Interval, turns: int, *, bound: bool = False) -> Outcome:
    """Who wins: whoever does with the whole interval. Nobody does beside a bound.

    >>> outcome_of(Interval(1.1, 1.02, 1.3), 10), outcome_of(Interval(1.1, 0.9, 1.3), 10)
    ('wins', 'as good')
    """
    if turns < ENOUGH:
        return "too few turns"
    if bound:
        return "a bound"
    return "wins" if times.low > 1 else "peer wins" if times.high < 1 else "as good"


def best_peer(result: Result) -> str | None:
    """The peer that is hardest to beat; None without peers."""
    found = compare(result)
    return min(found, key=lambda each: each.times.median).peer if found else None


def own_interval(result: Result) -> Interval:
    return interval(next(iter(result["turns"].values())))


def keeps_limit(result: Result) -> bool | None:
    """Whether Neocog's median keeps the row's limit; None without one."""
    if result["limit"] is None:
        return None
    median = own_interval(result).median
    return bool(median >= result["limit"] if result["better"] == "more" else median <= result["limit"])


def read(folder: Path, rows: Iterable[Row]) -> list[Result]:
    """The results in a folder, in the order of the rows. Those of rows that no longer exist are left out."""
    files = [folder / f"{row.name}.json" for row in rows]
    return [json.loads(path.read_text(encoding="utf-8")) for path in files if path.is_file()]


def write(path: Path, found: Result | Sequence[Result]) -> None:
    """Write JSON, whole or not at all; a list with a line for each of its rows."""
    if isinstance(found, Mapping):
        text = json.dumps(found, indent=1, allow_nan=False)
    else:
        text = "[\n" + ",\n".join(json.dumps(each, allow_nan=False) for each in found) + "\n]"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)
