"""Settings of how steps are computed."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.settings import SETTINGS
from neocog.training.executor import Precision

__all__ = ["SpeedConfig"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class SpeedConfig:
    """How a step is computed, and who decides."""

    mode: Literal["auto", "exact", "manual"] = "auto"
    """auto: the fastest way measured here; exact: fp32, deterministic and plain; manual: the next four settings."""
    precision: Precision = "fp32"
    """Type in which convolutions and matrix products are computed (manual)."""
    channels_last: bool = False
    """Store images and filters with their channels last (manual)."""
    compile: bool = False
    """Compile the network with torch.compile (manual)."""
    native: bool = False
    """Compute 3x3 convolutions in bf16 with kernels of Neocog's own, on a CPU with AVX-512 for bf16 (manual)."""
    budget: Annotated[float, Field(ge=0, le=1)] = 0.03
    """Share of the expected training time that measuring may take (auto)."""
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads; 0: one per physical core that this process may use, or OMP_NUM_THREADS."""

    def ignored(self) -> dict[str, str]:
        own = {"auto": {"budget"}, "exact": set(), "manual": {"precision", "channels_last", "compile", "native"}}[
            self.mode
        ]
        others = {"budget", "precision", "channels_last", "compile", "native"} - own
        return dict.fromkeys(sorted(others), f"speed.mode is {self.mode}")
