"""Findings, counted by kind in one pass with the first few as examples, and the report that holds them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from neocog.dataset.record import Source
from neocog.doctor.kinds import KINDS, Kind, Severity
from neocog.errors import agree

__all__ = ["EXAMPLES", "DataReport", "Example", "Finding", "Tally", "printable"]

SCHEMA = 1
EXAMPLES = 6
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Example:
    """One of those that were found."""

    key: str
    """A sample's key; or a file, a class, a split."""
    detail: str = ""
    records: tuple[int, ...] = ()
    """Indices of the samples to look at, if any."""

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
        plain = {name: getattr(self, name) for name in ("kind", "severity", "count", "sentence", "remedy")}
        return plain | {"examples": [example.to_json() for example in self.examples]}


@dataclass(frozen=True, kw_only=True, slots=True)
class DataReport:
    """Samples examined and findings; `source` is None if the set could not be opened."""

    data: str
    """As it was asked for."""
    name: str
    format: str = ""
    """The layout, as `--format` names it; empty if none was recognised."""
    what: str = ""
    """The layout in a few words."""
    modality: str = ""
    task: str = ""
    fingerprint: str = ""
    records: int = 0
    examined: int = 0
    classes: tuple[str, ...] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    """Samples by split."""
    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Samples by split and class, in the order of the classes."""
    notices: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    skip: Mapping[str, str] = field(default_factory=dict)
    """Keys of samples to leave out, each with its reason."""
    source: Source | None = field(default=None, repr=False, compare=False)

    @property
    def errors(self) -> int:
        """How many kinds of errors there are."""
        return sum(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values; docs/check.md describes them."""
        plain = ("data", "name", "format", "modality", "task", "fingerprint", "records", "examined")
        return {
            "version": SCHEMA,
            **{name: getattr(self, name) for name in plain},
            "splits": {k: {"records": n, "classes": list(self.counts.get(k, ()))} for k, n in self.splits.items()},
            "classes": list(self.classes),
            "notices": list(self.notices),
            "findings": [finding.to_json() for finding in self.findings],
            "skip": dict(self.skip),
        }


@dataclass(slots=True)
class Entry:
    count: int = 0
    examples: list[Example] = field(default_factory=list)
    words: dict[str, object] = field(default_factory=dict)


class Tally:
    """Counts of findings; `key` gives a sample's key by its index.

    `skip` collects the keys that belong on the skip list, each with its reason; the first reason stays.
    """

    def __init__(self, key: Callable[[int], str] = str) -> None:
        self.key = key
        self.entries: dict[Kind, Entry] = {}
        self.skip: dict[str, str] = {}

    def add(self, kind: Kind, name: str, detail: str = "", *, records: tuple[int, ...] = (), count: int = 1) -> None:
        """Add one more, by its name."""
        entry = self.entries.setdefault(kind, Entry())
        entry.count += count
        if len(entry.examples) < EXAMPLES:
            entry.examples.append(Example(name, detail, records))

    def add_record(self, kind: Kind, index: int, detail: str = "", *, other: int | None = None, count: int = 1) -> None:
        """Add one more sample, also to the skip list if its kind belongs there; `other` is the one compared to it."""
        key, compared = self.key(index), "" if other is None else self.key(other)
        records = (index,) if other is None else (index, other)
        self.add(kind, key, detail + compared, records=records, count=count)
        if kind.skip:
            self.skip.setdefault(key, kind.skip if other is None else f"{kind.skip} {compared}")

    def add_records(self, kind: Kind, indices: Iterable[int], detail: str = "", *, other: int | None = None) -> None:
        for index in indices:
            self.add_record(kind, int(index), detail, other=None if other is None else int(other))

    def say(self, kind: Kind, **words: object) -> None:
        """Set words that the sentence of a kind needs besides its number."""
        self.entries.setdefault(kind, Entry()).words.update(words)

    def findings(self) -> tuple[Finding, ...]:
        """All that was found, errors first, each severity in the order of `KINDS`."""
        order = sorted(self.entries, key=lambda kind: (SEVERITIES.index(kind.severity), KINDS.index(kind)))
        return tuple(make_finding(kind, self.entries[kind]) for kind in order if self.entries[kind].count)


def make_finding(kind: Kind, entry: Entry) -> Finding:
    sentence = agree(kind.says, entry.count).format_map({key: str(word) for key, word in entry.words.items()})
    return Finding(kind.name, kind.severity, entry.count, sentence, tuple(entry.examples), kind.does)


def printable(text: str) -> str:
    r"""The text with control characters, line breaks, odd spaces and broken Unicode as escapes, for terminal and page.

    >>> printable("caf\udce9\n.png")
    'caf\\udce9\\n.png'
    """
    if text.isprintable():
        return text
    # A lone surrogate, as in a file name that is not UTF-8, is escaped here too: it could be written nowhere.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
