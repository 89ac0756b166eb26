"""Learning-rate finder and batch-size finder: data and network as `train` prepares them, but no run folder."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from neocog.errors import ConfigError
from neocog.runs.config import ResolvedConfig, RunConfig, as_resolved
from neocog.runs.prepare import Prepared, prepare
from neocog.runs.session import session
from neocog.training.finders import BatchSizeSearch, RateCurve, TrialSettings, find_batch_size, range_test
from neocog.training.finders.learning_rate import HIGH, LOW, STEPS, check_range
from neocog.training.speed import PLAIN, Candidate, SpeedConfig
from neocog.zoo import model_info

__all__ = ["IGNORED_BY_BATCH", "IGNORED_BY_RATE", "find_batch", "find_rate"]

OF_RUNS = (
    "epochs", "minutes", "most_epochs", "replanned", "progressive", "freeze_epochs", "precise_bn", "monitor",
    "patience", "min_delta", "checkpoint_steps", "checkpoint_seconds", "keep", "on_full", "tta", "sync_batch_norm",
    "bf16_gradients",
)  # fmt: skip
IGNORED_BY_BOTH = {
    **{f"train.{name}": "a trial has no epochs" for name in OF_RUNS},
    "speed.budget": "a trial runs in plain fp32 unless speed.mode is manual",
    "speed.compile": "a trial is too short to be compiled",
    "monitor": "a trial is not monitored",
}
IGNORED_BY_RATE = {
    "optimizer.lr": "it is what is searched for",
    "schedule": "in a range test the rate rises from low to high",
    "train.ema_decay": "the range test looks at the loss of the weights themselves",
    **IGNORED_BY_BOTH,
}
"""Settings, or sections of them, that a range test ignores, and why."""
IGNORED_BY_BATCH = {
    "train.batch_size": "it is what is searched for",
    "schedule": "a trial of a batch size has one learning rate",
    **IGNORED_BY_BOTH,
}


def find_rate(
    config: RunConfig | ResolvedConfig,
    *,
    data: object = None,
    download: bool = False,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
) -> RateCurve:
    """Propose the learning rate of a run by a range test, with its batches, augmentation, optimiser and clipping.

    `data` is a Python object instead of the config's source, as for `train`. Nothing is written.
    Raises what `train` does for data and settings, and what `range_test` does; ConfigError if all training data is one
    batch.
    """
    check_range(low, high, steps)  # before the data is read
    with ready(config, data, download) as prepared:
        settings = prepared.resolved.config
        loader = prepared.loader
        if loader.num_steps < 2:
            raise ConfigError(
                "A range test needs at least two batches.",
                received=f"{len(prepared.train):,} training samples and train.batch_size {settings.train.batch_size:,}",
                fix="Lower train.batch_size.",
            )
        return range_test(
            prepared.model,
            loader,
            prepared.task,
            trial_settings(settings),
            low=low,
            high=high,
            steps=steps,
        )


def find_batch(config: RunConfig | ResolvedConfig, *, data: object = None, download: bool = False) -> BatchSizeSearch:
    """Propose the batch size of a run: on a GPU the largest that fits, on a CPU the smallest of the fastest.

    `data` is a Python object instead of the config's source, as for `train`. Nothing is written.
    Raises what `train` does for data and settings; ConfigError if not even one sample fits.
    """
    with ready(config, data, download) as prepared:
        settings = prepared.resolved.config
        return find_batch_size(
            prepared.model,
            prepared.loader.with_batch_size,
            prepared.task,
            trial_settings(settings),
            most=len(prepared.train),
            shape=prepared.preprocess.shape,
            dtype=model_info(settings.model.name).input_dtype,
        )


@contextmanager
def ready(config: RunConfig | ResolvedConfig, data: object, download: bool) -> Iterator[Prepared]:
    """A run that is prepared, in a session of its own."""
    resolved = as_resolved(config)
    with (
        session(resolved.config, single_process=True) as world,
        closing(prepare(resolved, world, data=data, download=download)) as prepared,
    ):
        yield prepared


def trial_settings(config: RunConfig) -> TrialSettings:
    return TrialSettings(train=config.train, optimizer=config.optimizer, arithmetic=arithmetic_of(config.speed))


def arithmetic_of(speed: SpeedConfig) -> Candidate:
    """How a trial computes: as the settings say, but never compiled; plain if a run would measure what is fastest."""
    return Candidate(speed.precision, speed.channels_last, native=speed.native) if speed.mode == "manual" else PLAIN
