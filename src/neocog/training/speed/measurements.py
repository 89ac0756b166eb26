"""What was measured of one network on one machine; the choice for any number of steps follows from it."""

from dataclasses import field
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.settings import SETTINGS

__all__ = ["Measurements"]

Seconds = Annotated[float, Field(gt=0)]


@dataclass(kw_only=True, slots=True, config=SETTINGS)
class Measurements:
    """Figures by candidate's name; what is missing has not been tried yet."""

    seconds: dict[str, Seconds] = field(default_factory=dict)
    """Of one step, the quickest of several."""
    compiling: dict[str, Seconds] = field(default_factory=dict)
    """Seconds of the first step beyond those of another."""
    dropped: dict[str, str] = field(default_factory=dict)
    """What failed, or computed wrong, and how."""
