"""The verbs that start from data. Each resolves the settings, then does its work in `neocog.runs`.

The command line is a thin shell over these functions, so the terminal and a notebook give the same result.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from neocog import auto
from neocog import runs as engine
from neocog.errors import ConfigError, RunError
from neocog.recipes.resolve import Settings, overridden, resolve_config
from neocog.runs import FLAG, Run
from neocog.runs import find as finders
from neocog.training.finders import BatchSizeSearch, RateCurve
from neocog.training.finders.learning_rate import HIGH, LOW, STEPS

__all__ = ["find_batch", "find_rate", "resume", "train"]


def train(
    start: object = None,
    /,
    *,
    data: object = None,
    name: str | None = None,
    runs: str | Path = "runs",
    download: bool = False,
    began: float | None = None,
    **settings: Unpack[Settings],
) -> Run:
    """Train a network and leave everything in a new folder `runs/NAME/`.

    `start` is a data set (a name, a path, arrays, a Hugging Face or torch data set), whose settings are `model`,
    `recipe`, `epochs` or `minutes`, `config_file` and `overrides` by dotted key, as on the command line; or a complete
    `RunConfig`. Without a recipe and epochs, the recipe is auto, within ten minutes. The time of `minutes` begins now,
    or at `began` by `time.monotonic()`.

        neocog.train("images/", minutes=3)
        neocog.train("images/", epochs=30, overrides={"augment.flip": 0.5})
        neocog.train("mnist", recipe="fast")
        neocog.train("images/", recipe="general", minutes=10)
        neocog.train(neocog.recipe("lenet5_relu", data="arrays"), data=(images, labels))

    Raises a NeocogError for what a user can fix, and Interrupted, with the state saved, on the first Ctrl-C.
    """
    began = time.monotonic() if began is None else began
    resolved, found = resolve_config(start, data=data, **settings)
    train_it = auto.train if resolved.config.train.search else engine.train
    return train_it(resolved, data=found, name=name, runs=runs, download=download, began=began)


def resume(
    path: str | Path,
    *,
    epochs: int | str | None = None,
    data: object = None,
    runs: str | Path = "runs",
    began: float | None = None,
) -> Run:
    """Resume a run that was stopped, in training or in its search, with the settings it began with.

    With `epochs`, a run, finished or not, is trained to N epochs in all, as if N had been planned from the start; this
    is possible if the rates so far don't depend on the number of epochs. `data` is the Python object that the run was
    started with, if it had one. A run within a number of minutes has the time that it had not used.
    Raises RunError if the run is finished, in use by another process, or can't have N epochs; Interrupted on Ctrl-C.
    """
    run = Run.open(path, Path(runs))
    if auto.is_searching(run):
        if epochs is not None:
            raise RunError(
                "A search has no number of epochs.", received=f"--epochs {epochs}", where=str(run.path),
                fix="Resume it without, and extend the run when it is finished.",
            )  # fmt: skip
        return auto.resume(run, data=data, began=began)
    return auto.resume_training(run, epochs=epochs, data=data, began=began)


def find_rate(
    start: object = None,
    /,
    *,
    data: object = None,
    download: bool = False,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
    **settings: Unpack[Settings],
) -> RateCurve:
    """Propose the learning rate of a run by a range test. Takes data and settings as `train` does; writes nothing.

    Raises what `train` does for data and settings, and what `range_test` does; ConfigError if all training data is one
    batch.
    """
    resolved, found = resolve_config(start, data=data, searches=False, **settings)
    refuse_ignored(settings, finders.IGNORED_BY_RATE)
    return finders.find_rate(resolved, data=found, download=download, low=low, high=high, steps=steps)


def find_batch(
    start: object = None, /, *, data: object = None, download: bool = False, **settings: Unpack[Settings]
) -> BatchSizeSearch:
    """Propose the batch size of a run: on a GPU the largest that fits, on a CPU the smallest of the fastest.

    Takes data and settings as `train` does; writes nothing.
    Raises what `train` does for data and settings; ConfigError if not even one sample fits.
    """
    resolved, found = resolve_config(start, data=data, searches=False, **settings)
    refuse_ignored(settings, finders.IGNORED_BY_BATCH)
    return finders.find_batch(resolved, data=found, download=download)


def refuse_ignored(settings: Settings, unused: Mapping[str, str]) -> None:
    """Raises ConfigError for an override that a trial ignores. In a config file, which is for a run, it may stay."""
    dash = "--" if settings.get("set_by") == FLAG else ""
    for key in overridden(settings):
        reason = unused.get(key) or unused.get(key.partition(".")[0])
        if reason:
            rule = f"A setting must have an effect. {dash}{key} would be ignored, because {reason}."
            raise ConfigError(rule, fix="Leave it out.", kind="ignored")
