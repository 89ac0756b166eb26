"""Settings of the training loop."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from neocog.errors import ConfigError
from neocog.modalities.image.tta import TTA
from neocog.settings import SETTINGS
from neocog.training.replans import check_texts

__all__ = ["TrainConfig", "check_train"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class TrainConfig:
    """How long to train, how many samples per step, and when to stop or save."""

    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over the training data."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Train within this time, from the start to the test figures: it sets the number of epochs, and changes the number
    of steps if steps take longer or shorter than expected."""
    replanned: Annotated[tuple[str, ...] | None, AfterValidator(check_texts)] = None
    """Changes of the number of steps, as a run within `minutes` writes them down: after STEP steps the total became
    TOTAL, such as "1200 2100". They repeat that run without a clock."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Samples in one step, over all processes together."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Compute each batch in N parts, one after the other, which takes less memory."""
    freeze_epochs: Annotated[int, Field(ge=0)] = 0
    """Head warm-up: freeze the backbone for the first N epochs; 0: off."""
    freeze_bn: bool | None = None
    """Pretrained networks: batch norms keep their statistics and scales, which they learned from far more data."""
    progressive: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Train on smaller images at first, of this share of their sides, growing to the whole in 60% of the run."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of initial weights, sampling, splits and augmentation."""
    clip_norm: Annotated[float, Field(ge=0)] = 0.0
    """Scale the gradient down to this norm if it is larger; 0: off."""
    adaptive_clip: Annotated[float, Field(ge=0)] = 0.0
    """Scale the gradient of a unit down to this share of its weights if it is larger (NFNets: 0.01); 0: off."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Keep a moving average of the weights with this decay, and use it as the result; 0: off."""
    precise_bn: Annotated[int, Field(ge=0)] = 0
    """Before each validation, measure batch-norm statistics over N batches; 0: keep the moving averages."""
    monitor: Literal["metric", "loss", "last"] = "metric"
    """The choice of the best epoch on validation data. metric: that of the task, such as accuracy in
    classification; last: simply the last epoch, for schedules that end at a rate of zero."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after N epochs without improvement; 0: never."""
    most_epochs: Annotated[int, Field(ge=1)] | None = None
    """Within train.minutes: no more than N epochs, however much time there is."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """Smallest gain that counts as an improvement for patience."""
    checkpoint_steps: Annotated[int, Field(ge=0)] = 0
    """Save every N steps, besides the end of each epoch; 0: off."""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0
    """Save every N seconds, besides the end of each epoch; 0: off."""
    keep: Annotated[int, Field(ge=1)] = 2
    """Keep the last N checkpoints; if the newest is damaged, the run resumes from the one before."""
    on_full: Literal["stop", "continue"] = "stop"
    """If the disk is full: stop, or train on without that checkpoint; the last good one is kept either way."""
    sync_batch_norm: bool = True
    """Several processes: compute batch norm over the whole batch, as a single process would, not over each part."""
    bf16_gradients: bool = False
    """Several processes: exchange gradients as bfloat16, which takes half the time on a slow network."""
    tta: TTA = "none"
    """In the final evaluation, also average the predictions over this test-time augmentation of images."""
    calibrate: bool | None = None
    """After training, divide the outputs of a classifier by a temperature that validation data set, so that its
    probabilities are as high as it is often right (Guo et al. 2017)."""
    search: bool | None = None
    """First choose what is not set, by a look at the data and a race of candidates, within train.minutes."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto uses a GPU if there is one."""

    def ignored(self) -> dict[str, str]:
        found = {} if self.patience else {"min_delta": "train.patience is 0, so nothing stops early"}
        found |= {"patience": "train.monitor is last"} if self.monitor == "last" else {}
        if self.replanned is not None:
            found |= dict.fromkeys(("minutes", "most_epochs"), "train.replanned says how many steps there are")
        elif self.minutes is None:
            found["most_epochs"] = "train.minutes is not set"
        return found


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
    if config.freeze_bn and not pretrained:
        raise ConfigError(
            "train.freeze_bn needs pretrained weights.",
            received="freeze_bn, without model.pretrained",
            fix="Name weights, or leave it out.",
        )
    if config.freeze_bn and config.precise_bn:
        raise ConfigError(
            "Batch norms are frozen or measured.",
            received=f"train.freeze_bn and train.precise_bn={config.precise_bn}",
            fix="Leave one out.",
        )
    if num_processes == 1 and (config.bf16_gradients or not config.sync_batch_norm):
        name = "bf16_gradients" if config.bf16_gradients else "sync_batch_norm"
        raise ConfigError(
            "A setting must have an effect.",
            received=f"train.{name}, which a single process ignores",
            fix="Remove it, or train with several processes: --devices.",
        )
