"""`neocog find`: a learning rate or a batch size for a run, from a short trial before it."""

import json as json_format
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter

from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.cli.train import FLAG, RECIPE_HELP, Flags, FlagTexts, settle_flags
from neocog.errors import ConfigError
from neocog.progress import note
from neocog.report.plots import save_figure
from neocog.runs import Settled
from neocog.runs.find import draw_rates, find_batch, find_rate
from neocog.training.finders.learning_rate import HIGH, LOW, STEPS

Switch = Parameter(negative="")
Model = Annotated[str | None, Parameter(help="The network, by its name in `neocog zoo` [lenet5_relu].")]
Recipe = Annotated[str | None, Parameter(help=RECIPE_HELP)]
Download = Annotated[bool, Parameter(negative="", help="Fetch a known data set if it is not on this machine.")]
AllFlags = Annotated[Flags | None, Parameter(name="*")]

OF_RUNS = (
    "epochs", "freeze_epochs", "precise_bn", "monitor", "patience", "min_delta", "checkpoint_steps",
    "checkpoint_seconds", "keep", "on_full", "views", "sync_batch_norm", "bf16_gradients",
)  # fmt: skip
TO_THE_END = {
    **{f"train.{name}": "a trial has no epochs" for name in OF_RUNS},
    "speed.budget": "a trial is in plain fp32 unless --speed.mode is manual",
    "speed.compile": "a trial is too short to be compiled",
    "monitor": "a trial is not monitored",
}
NOT_FOR_RATE = {
    "optimizer.lr": "it is what is looked for",
    "schedule": "in a range test the rate rises from --low to --high",
    "train.ema_decay": "the range test looks at the loss of the weights themselves",
    **TO_THE_END,
}
NOT_FOR_BATCH = {
    "train.batch_size": "it is what is looked for",
    "schedule": "a trial of a batch size has one learning rate",
    **TO_THE_END,
}


def rate(
    data: str | None = None,
    *,
    model: Model = None,
    recipe: Recipe = None,
    config: Path | None = None,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
    out: Path | None = None,
    json: Annotated[bool, Switch] = False,
    download: Download = False,
    flags: AllFlags = None,
) -> int:
    """Find a learning rate; `neocog.runs.find.find_rate` does the same.

    Parameters
    ----------
    data
        A name or a path, as for `neocog train`.
    config
        A YAML file with settings by section; a run's config.yaml is one.
    low
        The rate of the first step.
    high
        The rate of the last step, unless the loss rises before.
    steps
        Steps between the two, one batch each.
    out
        Draw the curve into this file (.png, .svg, .pdf).
    json
        Print the curve and all suggestions as JSON.
    """
    settled = settle_flags(data, model, recipe, None, config, cast(FlagTexts, flags or {}))
    refuse_ignored(settled, NOT_FOR_RATE)
    if out is not None and not out.absolute().parent.is_dir():  # said before the trial, not after it
        raise ConfigError(f"--out needs a folder that is there. Received: {out}. Make {out.parent} first.")
    curve = find_rate(settled, download=download, low=low, high=high, steps=steps)
    if out is not None:
        save_figure(draw_rates(curve), out)
        note(f"drawn in {out}")
    if json:
        write_out(json_format.dumps(curve.to_json(), indent=1))
        return 0
    rows = [(s.rule, f"{s.rate:.2g}", s.why) for s in curve.suggestions]
    write_out(f"learning rate {curve.rate:g}, {curve.reason}.\n\n{table(rows, left=(0, 2))}\n")
    write_out(f"{len(curve.rates)} steps from {low:g}; {curve.stopped}.")
    write_out(f"Train with it: --optimizer.lr {curve.rate:g}")
    return 0


def batch(
    data: str | None = None,
    *,
    model: Model = None,
    recipe: Recipe = None,
    config: Path | None = None,
    json: Annotated[bool, Switch] = False,
    download: Download = False,
    flags: AllFlags = None,
) -> int:
    """Find a batch size; `neocog.runs.find.find_batch` does the same.

    Parameters
    ----------
    data
        A name or a path, as for `neocog train`.
    config
        A YAML file with settings by section; a run's config.yaml is one.
    json
        Print the sizes with their figures as JSON.
    """
    settled = settle_flags(data, model, recipe, None, config, cast(FlagTexts, flags or {}))
    refuse_ignored(settled, NOT_FOR_BATCH)
    found = find_batch(settled, download=download)
    if json:
        write_out(json_format.dumps(found.to_json(), indent=1))
        return 0
    write_out(f"{found}\n\nTrain with it: --train.batch_size {found.size}")
    write_out("A learning rate belongs to a batch size: find it again with neocog find rate.")
    return 0


def refuse_ignored(settled: Settled, unused: Mapping[str, str]) -> None:
    """Raises ConfigError for a flag without effect on a trial; in a file, which is for the whole run, it may stand."""
    for key, origin in settled.origins.items():
        reason = unused.get(key) or unused.get(key.partition(".")[0])
        if origin == FLAG and reason:
            raise ConfigError(
                f"A setting must have an effect. --{key} would be ignored, because {reason}. Leave it out."
            )
