"""Findings, counted by kind in one pass, with the first few as examples."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from neocog.doctor.kinds import KINDS, Kind, Severity
from neocog.errors import agree

__all__ = ["EXAMPLES", "Example", "Finding", "Tally"]

EXAMPLES = 6
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Example:
    """One of those that were found."""

    key: str
    """A record's key; or a file, a class, a split."""
    detail: str = ""
    """Details on this one."""
    records: tuple[int, ...] = ()
    """Indices of the records to look at, if any."""

    def to_json(self) -> dict[str, str]:
        return {"key": self.key, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Finding:
    """All of one kind."""

    kind: str
    severity: Severity
    count: int
    sentence: str
    examples: tuple[Example, ...]
    """The first few, in the order of the set."""
    remedy: str
    """The effect in Neocog, and what the user can do."""

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "severity": self.severity,
            "count": self.count,
            "sentence": self.sentence,
            "remedy": self.remedy,
            "examples": [example.to_json() for example in self.examples],
        }


@dataclass(slots=True)
class Entry:
    count: int = 0
    examples: list[Example] = field(default_factory=list)
    words: dict[str, object] = field(default_factory=dict)


class Tally:
    """Counts what is found; `key` gives a record's key by its index.

    `skip` collects the keys that belong on the skip list, each with its reason; the first reason stays.
    """

    def __init__(self, key: Callable[[int], str] = str) -> None:
        self.key = key
        self.entries: dict[Kind, Entry] = {}
        self.skip: dict[str, str] = {}

    def add(self, kind: Kind, name: str, detail: str = "", *, records: tuple[int, ...] = (), count: int = 1) -> None:
        """One more, by the name of what it is."""
        entry = self.entries.setdefault(kind, Entry())
        entry.count += count
        if len(entry.examples) < EXAMPLES:
            entry.examples.append(Example(name, detail, records))

    def add_record(self, kind: Kind, index: int, detail: str = "", *, other: int | None = None, count: int = 1) -> None:
        """One more record, which goes on the skip list if its kind does; `other` is the one that it is compared to."""
        entry = self.entries.setdefault(kind, Entry())
        entry.count += count
        if len(entry.examples) < EXAMPLES:
            shown = f"{detail}{self.key(other)}" if other is not None else detail
            entry.examples.append(Example(self.key(index), shown, (index,) if other is None else (index, other)))
        if kind.skip:
            self.skip.setdefault(self.key(index), f"{kind.skip} {self.key(other)}" if other is not None else kind.skip)

    def add_records(self, kind: Kind, indices: Iterable[int]) -> None:
        for index in indices:
            self.add_record(kind, int(index))

    def say(self, kind: Kind, **words: object) -> None:
        """Words that the sentence of a kind needs besides its number."""
        self.entries.setdefault(kind, Entry()).words.update(words)

    def findings(self) -> tuple[Finding, ...]:
        """All that was found, errors first, each severity in the order of `KINDS`."""
        order = sorted(self.entries, key=lambda kind: (SEVERITIES.index(kind.severity), KINDS.index(kind)))
        return tuple(finding(kind, self.entries[kind]) for kind in order if self.entries[kind].count)


def finding(kind: Kind, entry: Entry) -> Finding:
    sentence = agree(kind.says, entry.count).format_map({key: str(word) for key, word in entry.words.items()})
    return Finding(kind.name, kind.severity, entry.count, sentence, tuple(entry.examples), kind.does)
