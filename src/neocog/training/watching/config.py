"""Settings of what is noted while a network trains."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.settings import SETTINGS

__all__ = ["WatchConfig"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class WatchConfig:
    """What is noted while a network trains."""

    log_seconds: Annotated[float, Field(ge=0)] = 10.0
    """Note loss, rate and speed in events.jsonl every so many seconds; 0: no."""
    log_every: Annotated[int, Field(ge=0)] = 0
    """Note them every so many steps as well; 0: no."""
    norms_every: Annotated[int, Field(ge=0)] = 0
    """Note the size of gradients and activations of each stage every so many steps; 0: no."""
    warnings: bool = True
    """Warn, with the reason, of data that comes too slowly, dead layers, a loss that stands still and overfitting."""
    tensorboard: bool = False
    """Write the same for TensorBoard, into the run's folder."""
