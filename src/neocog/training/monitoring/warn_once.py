"""Warnings, each given once in a run: a line for the user and an event for the log."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from neocog.progress import note

__all__ = ["Log", "WarnOnce", "read_events", "read_warnings"]


class Log(Protocol):
    """Where events go: `Run.log` of a run, which adds a line to events.jsonl."""

    def __call__(self, event: str, **facts: Any) -> None: ...


class WarnOnce:
    """Gives each warning once. A warning is about something: a layer, or only its kind."""

    def __init__(self, log: Log, given: Iterable[tuple[str, str]] = ()) -> None:
        self.log, self.given = log, set(given)

    def new(self, kind: str, about: Sequence[str]) -> list[str]:
        """Those that a warning of this kind has not been about yet."""
        return [thing for thing in about if (kind, thing) not in self.given]

    def warn(self, kind: str, message: str | None, about: Sequence[str] = ("",)) -> None:
        """Print and log a warning, unless there is none, or it has been given about all of these."""
        if message is None or not self.new(kind, about):
            return
        self.given |= {(kind, thing) for thing in about}
        note(f"warning: {message}")
        self.log("warning", kind=kind, about=[thing for thing in about if thing], message=message)


def read_warnings(events: Path) -> set[tuple[str, str]]:
    """The warnings in a run's events.jsonl, so that a resumed run does not repeat them."""
    return {(event["kind"], thing) for event in read_events(events, "warning") for thing in event["about"] or [""]}


def read_events(events: Path, name: str) -> list[dict[str, Any]]:
    """The events of this name in an events.jsonl, oldest first."""
    found = []
    for line in events.read_bytes().splitlines() if events.exists() else []:
        try:
            event = json.loads(line)
        except ValueError:  # half-written before a kill
            continue
        if event["event"] == name:
            found.append(event)
    return found
