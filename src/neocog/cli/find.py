"""`neocog find`: a learning-rate finder and a batch-size finder, each a short trial before a run."""

import json as json_format
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neocog import verbs
from neocog.cli.flags import Download, Switch
from neocog.cli.output import table
from neocog.cli.section_flags import AllFlags, Model, TaskName, flag_settings
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError
from neocog.progress import note
from neocog.training.finders.learning_rate import HIGH, LOW, STEPS

Recipe = Annotated[str | None, Parameter(help="Settings to start from, as for `neocog train`.", metavar="NAME")]


def rate(
    data: str | None = None,
    *,
    model: Model = None,
    task: TaskName = None,
    recipe: Recipe = None,
    config: Path | None = None,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
    out: Path | None = None,
    json: Switch = False,
    download: Download = False,
    flags: AllFlags = None,
) -> int:
    """Find a learning rate by a range test.

    neocog find rate mnist
    neocog find rate images/ --model resnet18 --out rates.png

    Trains a copy of the network for 100 steps at a rising learning rate, until the
    loss rises too. Three rules read the curve: where the loss falls fastest, a tenth
    of the rate with the lowest loss, and the middle of the longest fall. The first
    is proposed, as the peak of a schedule, unless it lies far below the second; the
    others are more careful. Takes all settings of train: neocog train --help-all
    In Python: neocog.find_rate("images/", model="resnet18").

    Parameters
    ----------
    data
        A name or a path, as for `neocog train`.
    config
        A YAML file with settings by section, such as the config.yaml of a run.
    low
        The rate of the first step.
    high
        The rate of the last step, unless the loss rises before.
    steps
        The number of steps from low to high, one batch each.
    out
        Draw the curve into this file (.png, .svg, .pdf).
    json
        Print the curve and all suggestions as JSON.
    """
    if out is not None and not out.absolute().parent.is_dir():  # said before the trial, not after it
        raise ConfigError("--out needs a folder that exists.", received=str(out), fix=f"Make {out.parent} first.")
    settings = flag_settings(flags, model=model, task=task, recipe=recipe, config=config)
    curve = verbs.find_rate(data, download=download, low=low, high=high, steps=steps, **settings)
    if out is not None:
        from neocog.report.plots import draw_range_test, save_figure  # matplotlib takes a second to import

        save_figure(draw_range_test(curve), out)
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
    task: TaskName = None,
    recipe: Recipe = None,
    config: Path | None = None,
    json: Switch = False,
    download: Download = False,
    flags: AllFlags = None,
) -> int:
    """Find a batch size that fits in memory and is fast.

    neocog find batch mnist
    neocog find batch images/ --model resnet18 --json

    Doubles the batch size and trains some steps at each, with the optimiser of the
    run. On a GPU it proposes the largest size that fits in 90% of the free memory,
    on a CPU the smallest that is as fast as any.
    Takes all settings of train: neocog train --help-all
    In Python: neocog.find_batch("images/", model="resnet18").

    Parameters
    ----------
    data
        A name or a path, as for `neocog train`.
    config
        A YAML file with settings by section, such as the config.yaml of a run.
    json
        Print the sizes with their figures as JSON.
    """
    settings = flag_settings(flags, model=model, task=task, recipe=recipe, config=config)
    found = verbs.find_batch(data, download=download, **settings)
    if json:
        write_out(json_format.dumps(found.to_json(), indent=1))
        return 0
    write_out(f"{found}\n\nTrain with it: --train.batch_size {found.size}")
    write_out("The best learning rate depends on the batch size: find it again with neocog find rate.")
    return 0
