"""The evaluation of any task: metrics with intervals, the worst errors, and parts to show."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from neocog.evaluation.intervals import Estimate

__all__ = ["Evaluation", "Exhibit", "WorstError"]

Row = tuple[str, ...]


class WorstError(Protocol):
    """A sample on which the network was far off."""

    @property
    def key(self) -> str: ...
    @property
    def target_text(self) -> str: ...
    @property
    def prediction_text(self) -> str: ...


class Exhibit(ABC):
    """A part of an evaluation beside its metrics: a section of the report, and a table of `neocog eval`."""

    kind: ClassVar[str] = "table"
    """How the report draws it: `table` for its rows alone."""
    anchor: ClassVar[str]
    """Its address within the page."""
    title: ClassVar[str]
    left: ClassVar[tuple[int, ...]] = (0,)
    """Columns that are aligned left."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """The table as text, its head first; empty if it is too wide for a terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(ABC):
    """The metrics of one network on one split. Each task adds its own fields."""

    data: str
    split: str
    count: int
    """Samples scored, each once."""

    @property
    @abstractmethod
    def metrics(self) -> dict[str, Estimate]:
        """By name, in the order in which they are shown; the first is the headline."""

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        """Everything else to show."""
        return ()

    @property
    def worst_errors(self) -> Sequence[WorstError]:
        """The worst first."""
        return ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
