"""Settings of the loop."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.settings import SETTINGS

__all__ = ["TrainConfig"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class TrainConfig:
    """How long, how many at once, and when to stop or save."""

    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over the training data."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Pictures in one step."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Initial weights, order, splits and augmentation follow from it."""
    clip_norm: Annotated[float, Field(ge=0)] = 0.0
    """Scale the gradient down to this norm where it is longer; 0: never."""
    adaptive_clip: Annotated[float, Field(ge=0)] = 0.0
    """Scale the gradient of a unit down to this share of its weights where it is longer (NFNets: 0.01); 0: never."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Keep a moving average of the weights with this decay, and use it as the result; 0: no average."""
    precise_bn: Annotated[int, Field(ge=0)] = 0
    """Before each validation, measure the statistics of batch norm over so many batches; 0: keep moving averages."""
    monitor: Literal["accuracy", "loss"] = "accuracy"
    """The validation figure by which the best weights are chosen."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after so many epochs without improvement; 0: never."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """How much better counts as an improvement for patience."""
    checkpoint_steps: Annotated[int, Field(ge=0)] = 0
    """Save every so many steps, beside the end of each epoch; 0: no."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0
    """Save every so many seconds, beside the end of each epoch; 0: no."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto takes a GPU where there is one."""

    def ignored(self) -> dict[str, str]:
        return {} if self.patience else {"min_delta": "train.patience is 0, so nothing stops early"}
