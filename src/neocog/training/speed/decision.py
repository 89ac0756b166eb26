"""What was decided and why, as it is kept with a run."""

from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from neocog.errors import CheckpointError
from neocog.settings import SETTINGS
from neocog.training.engine import Precision

__all__ = ["Decision"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class Decision:
    """How the steps of a run are computed. A resumed run keeps it, as another arithmetic gives other weights."""

    mode: Literal["auto", "exact", "manual"]
    """Who decided."""
    precision: Precision = "fp32"
    channels_last: bool = False
    compiled: bool = False
    reason: str
    """One sentence with figures."""
    timings: dict[str, float]
    """Seconds of a step by candidate."""
    dropped: dict[str, str]
    """Candidates that were left out, and why."""
    threads: int
    device: str
    """Its kind and name."""
    versions: dict[str, str]
    """Of Neocog and torch."""

    def lines(self) -> list[str]:
        """What a user is told."""
        return [f"speed: {self.reason}", *(f"  left out: {name}: {why}" for name, why in self.dropped.items())]

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = TypeAdapter(type(self)).dump_python(self)
        return found

    @classmethod
    def from_json(cls, found: object) -> Self:
        """The inverse of `to_json`. Raises CheckpointError for anything else."""
        try:
            return TypeAdapter(cls).validate_python(found)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise CheckpointError(
                f"A run keeps how its steps are computed. What is kept is damaged: {where}: {first['msg']}. "
                "Start a new run with the same settings."
            ) from error
