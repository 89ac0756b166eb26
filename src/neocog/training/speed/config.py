"""Settings of the choice."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.settings import SETTINGS
from neocog.training.engine import Precision

__all__ = ["SpeedConfig"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class SpeedConfig:
    """How a step is computed, and who decides."""

    mode: Literal["auto", "exact", "manual"] = "auto"
    """auto measures what is fastest here; exact is fp32, deterministic and plain; manual is as the next three say."""
    precision: Precision = "fp32"
    """Type in which convolutions and products are computed (manual)."""
    channels_last: bool = False
    """Keep pictures and filters in memory with their channels last (manual)."""
    compile: bool = False
    """Make one program of the network with torch.compile (manual)."""
    budget: Annotated[float, Field(ge=0, le=1)] = 0.03
    """Share of the expected training time that measuring may take (auto)."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads of the CPU; 0: one for each physical core that this process may use, or OMP_NUM_THREADS."""

    def ignored(self) -> dict[str, str]:
        own = {"auto": {"budget"}, "exact": set(), "manual": {"precision", "channels_last", "compile"}}[self.mode]
        others = {"budget", "precision", "channels_last", "compile"} - own
        return dict.fromkeys(sorted(others), f"speed.mode is {self.mode}")
