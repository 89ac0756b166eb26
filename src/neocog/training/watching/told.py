"""Warnings, each told once in a run: a line for the user and an event for the log."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from neocog.progress import note

__all__ = ["Log", "Told", "events_of", "told_before"]


class Log(Protocol):
    """Where events go: `Run.log` of a run, which adds a line to events.jsonl."""

    def __call__(self, event: str, **facts: Any) -> None: ...


class Told:
    """What has been told. A warning is about something: a layer, or nothing but its kind."""

    def __init__(self, log: Log, before: Iterable[tuple[str, str]] = ()) -> None:
        self.log, self.before = log, set(before)

    def new(self, kind: str, about: Sequence[str]) -> list[str]:
        """Those of which a warning of this kind has not been told."""
        return [thing for thing in about if (kind, thing) not in self.before]

    def tell(self, kind: str, message: str | None, about: Sequence[str] = ("",)) -> None:
        """Note and log a warning, unless there is none, or it has been told of all that it is about."""
        if message is None or not self.new(kind, about):
            return
        self.before |= {(kind, thing) for thing in about}
        note(f"warning: {message}")
        self.log("warning", kind=kind, about=[thing for thing in about if thing], message=message)


def told_before(events: Path) -> set[tuple[str, str]]:
    """The warnings that a run's events.jsonl holds, so that a resumed run does not repeat them."""
    return {(event["kind"], thing) for event in events_of(events, "warning") for thing in event["about"] or [""]}


def events_of(events: Path, name: str) -> list[dict[str, Any]]:
    """The events of this name that an events.jsonl holds, the first first."""
    found = []
    for line in events.read_bytes().splitlines() if events.exists() else []:
        try:
            event = json.loads(line)
        except ValueError:  # half-written before a kill
            continue
        if event["event"] == name:
            found.append(event)
    return found
