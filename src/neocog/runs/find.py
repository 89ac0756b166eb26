"""Finding a run's learning rate or batch size before it: data and network as `train` prepares them, and no folder."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from matplotlib import rc_context
from matplotlib.figure import Figure

from neocog.errors import ConfigError
from neocog.report.plots import BLUE, GREY, INK, ORANGE, STYLE, axes_of
from neocog.runs.config import RunConfig, Settled, as_settled
from neocog.runs.prepare import Prepared, prepare
from neocog.runs.train_run import open_loader
from neocog.training.finders import BatchSizes, RateCurve, find_size, range_test
from neocog.training.finders.rate import HIGH, LOW, STEPS, check_range
from neocog.training.speed import PLAIN, Candidate, SpeedConfig, exact_arithmetic, use_threads
from neocog.zoo import model_info

__all__ = ["draw_rates", "find_batch", "find_rate"]


def find_rate(
    config: RunConfig | Settled,
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
        settings = prepared.settled.config
        loader = open_loader(prepared)
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


def find_batch(config: RunConfig | Settled, *, data: object = None, download: bool = False) -> BatchSizes:
    """Propose the batch size of a run: on a GPU the largest that fits, on a CPU the smallest of the fastest.

    `data` is a Python object instead of the config's source, as for `train`. Nothing is written.
    Raises what `train` does for data and settings; ConfigError where not one record fits.
    """
    with ready(config, data, download) as prepared:
        settings = prepared.settled.config
        return find_size(
            prepared.model,
            lambda size: open_loader(prepared, batch_size=size),
            prepared.task,
            optimizer=settings.optimizer,
            config=settings.train,
            arithmetic=arithmetic_of(settings.speed),
            most=len(prepared.train),
            shape=prepared.preprocess.shape,
            dtype=model_info(settings.model.name).input_dtype,
        )


@contextmanager
def ready(config: RunConfig | Settled, data: object, download: bool) -> Iterator[Prepared]:
    """A run that is prepared; its feeds are closed afterwards."""
    settled = as_settled(config)
    speed = settled.config.speed
    use_threads(speed.threads)
    prepared = prepare(settled, data=data, download=download)
    try:
        with exact_arithmetic() if speed.mode == "exact" else nullcontext():
            yield prepared
    finally:
        prepared.train.close()
        prepared.val.close()


def arithmetic_of(speed: SpeedConfig) -> Candidate:
    """How a trial computes: as the settings say, but never compiled; plain where a run would measure what is best."""
    return Candidate(speed.precision, speed.channels_last) if speed.mode == "manual" else PLAIN


def draw_rates(curve: RateCurve) -> Figure:
    """Loss against learning rate, each batch and smoothed, with the suggested rates; the proposed one stands out."""
    with rc_context(STYLE):
        figure, axes = axes_of(6.4, 3.8)
        axes.plot(curve.rates, curve.losses, color=GREY, linewidth=0.8, label="each batch")
        axes.plot(curve.rates, curve.smoothed, color=BLUE, label="smoothed")
        for suggestion in curve.suggestions:
            proposed = suggestion == curve.proposed
            label = f"{suggestion.rule}: {suggestion.rate:.2g}{' (proposed)' if proposed else ''}"
            style = {"steepest": "--", "valley": ":"}.get(suggestion.rule, "-.")
            axes.axvline(suggestion.rate, color=ORANGE if proposed else INK, linestyle=style, linewidth=1, label=label)
        fall = curve.smoothed[0] - min(curve.smoothed)
        axes.set_ylim(min(curve.smoothed) - 0.2 * fall, curve.smoothed[0] + 0.6 * fall)  # not up to where it diverges
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        axes.legend()
    return figure
