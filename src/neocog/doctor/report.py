"""All that the doctor has to say about a data set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from neocog.dataset.record import Source
from neocog.doctor.finding import Finding

__all__ = ["DataReport"]

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class DataReport:
    """Records examined and findings; `source` is None if the set could not be opened."""

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
    """Records by split."""
    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Records by split and class, in the order of the classes."""
    notices: tuple[str, ...] = ()
    """Notices of the reader."""
    findings: tuple[Finding, ...] = ()
    skip: Mapping[str, str] = field(default_factory=dict)
    """Keys of records to leave out, each with its reason."""
    source: Source | None = field(default=None, repr=False, compare=False)

    @property
    def errors(self) -> int:
        """How many kinds of errors there are."""
        return sum(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values; docs/check.md describes them."""
        return {
            "version": SCHEMA,
            "data": self.data,
            "name": self.name,
            "format": self.format,
            "modality": self.modality,
            "task": self.task,
            "fingerprint": self.fingerprint,
            "records": self.records,
            "examined": self.examined,
            "splits": {
                split: {"records": count, "classes": list(self.counts.get(split, ()))}
                for split, count in self.splits.items()
            },
            "classes": list(self.classes),
            "notices": list(self.notices),
            "findings": [finding.to_json() for finding in self.findings],
            "skip": dict(self.skip),
        }
