"""Finding a run's learning rate or batch size before it: data and network as `train` prepares them, and no folder."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from matplotlib.figure import Figure

from neocog.errors import ConfigError
from neocog.report.plots import draw_range_test
from neocog.runs.config import ResolvedConfig, RunConfig, as_resolved
from neocog.runs.prepare import Prepared, prepare
from neocog.runs.session import session
from neocog.training.finders import BatchSizes, RateCurve, find_size, range_test
from neocog.training.finders.rate import HIGH, LOW, STEPS, check_range
from neocog.training.speed import PLAIN, Candidate, SpeedConfig
from neocog.zoo import model_info

__all__ = ["draw_rates", "find_batch", "find_rate"]


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
    Raises what `train` does for data and settings, and what `range_test` does; ConfigError where all training data
    are one batch.
    """
    check_range(low, high, steps)  # before the data is read
    with ready(config, data, download) as prepared:
        settings = prepared.resolved.config
        loader = prepared.loader
        if loader.num_steps < 2:
            raise ConfigError(
                "A range test needs batches that differ. All training data are one: "
                f"{len(prepared.train):,} records, and --train.batch_size is {settings.train.batch_size:,}. Lower it."
            )
        return range_test(
            prepared.model,
            loader,
            prepared.task,
            optimizer=settings.optimizer,
            config=settings.train,
            arithmetic=arithmetic_of(settings.speed),
            low=low,
            high=high,
            steps=steps,
        )


def find_batch(config: RunConfig | ResolvedConfig, *, data: object = None, download: bool = False) -> BatchSizes:
    """Propose the batch size of a run: on a GPU the largest that fits, on a CPU the smallest of the fastest.

    `data` is a Python object instead of the config's source, as for `train`. Nothing is written.
    Raises what `train` does for data and settings; ConfigError where not one record fits.
    """
    with ready(config, data, download) as prepared:
        settings = prepared.resolved.config
        return find_size(
            prepared.model,
            prepared.loader.with_batch_size,
            prepared.task,
            optimizer=settings.optimizer,
            config=settings.train,
            arithmetic=arithmetic_of(settings.speed),
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


def arithmetic_of(speed: SpeedConfig) -> Candidate:
    """How a trial computes: as the settings say, but never compiled; plain where a run would measure what is best."""
    return Candidate(speed.precision, speed.channels_last) if speed.mode == "manual" else PLAIN


def draw_rates(curve: RateCurve) -> Figure:
    """Loss against learning rate, with the suggested rates; the proposed one stands out."""
    rules = {each.rule: (each.rate, each == curve.proposed) for each in curve.suggestions}
    return draw_range_test(curve.rates, curve.losses, curve.smoothed, rules)
