"""Settings of the loop."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.errors import ConfigError
from neocog.modalities.image.tta import TTA
from neocog.settings import SETTINGS

__all__ = ["TrainConfig", "check_train"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class TrainConfig:
    """How long, how many at once, and when to stop or save."""

    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over the training data."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Records in one step, of all processes together."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Compute each batch in so many parts, one after the other, which takes less memory."""
    freeze_epochs: Annotated[int, Field(ge=0)] = 0
    """In so many epochs at the beginning all but the head stands still; 0: none."""
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
    monitor: Literal["accuracy", "loss", "last"] = "accuracy"
    """The validation figure by which the best weights are chosen; last: those of the last epoch, for schedules that end
    at a rate of zero."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after so many epochs without improvement; 0: never."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """How much better counts as an improvement for patience."""
    checkpoint_steps: Annotated[int, Field(ge=0)] = 0
    """Save every so many steps, beside the end of each epoch; 0: no."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0
    """Save every so many seconds, beside the end of each epoch; 0: no."""
    keep: Annotated[int, Field(ge=1)] = 2
    """Keep so many of the last checkpoints; should the newest be damaged, the run goes on from the one before."""
    on_full: Literal["stop", "go_on"] = "stop"
    """Where the disk is full: stop, or train on without that checkpoint; the last good one is kept in either case."""
    sync_batch_norm: bool = True
    """Several processes: let batch norm see the whole batch, as one process would, rather than each its part."""
    bf16_gradients: bool = False
    """Several processes: exchange gradients as bfloat16, which takes half the time on a slow network."""
    tta: TTA = "none"
    """In the final evaluation, also average the predictions over this test-time augmentation of images."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto takes a GPU where there is one."""

    def ignored(self) -> dict[str, str]:
        found = {} if self.patience else {"min_delta": "train.patience is 0, so nothing stops early"}
        return found | ({"patience": "train.monitor is last"} if self.monitor == "last" else {})


def check_train(config: TrainConfig, *, num_processes: int, pretrained: bool) -> None:
    """Raises ConfigError for settings that don't fit together, or that have no effect in such a run."""
    if config.accumulate > config.batch_size:
        raise ConfigError(
            "train.accumulate must be at most train.batch_size.",
            received=f"{config.accumulate} parts of a batch of {config.batch_size}",
            fix="Use fewer parts.",
        )
    if config.freeze_epochs and not pretrained:
        raise ConfigError(
            "train.freeze_epochs needs pretrained weights.",
            received=f"{config.freeze_epochs}, without model.pretrained",
            fix="Name weights, or set freeze_epochs to 0.",
        )
    if num_processes == 1 and (config.bf16_gradients or not config.sync_batch_norm):
        name = "bf16_gradients" if config.bf16_gradients else "sync_batch_norm"
        raise ConfigError(
            "A setting must have an effect.",
            received=f"train.{name}, which a single process ignores",
            fix="Remove it, or train with several processes: --devices.",
        )
