"""`neocog train`: from data to a run folder with a trained, measured, sealed network."""

import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neocog import recipes, runs, verbs
from neocog.cli.flags import Download, Switch
from neocog.cli.output import show_evaluation
from neocog.cli.section_flags import AllFlags, Model, TaskName, flag_settings, list_settings
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError
from neocog.launch import start_ranks
from neocog.runs import Run
from neocog.training.clock import process_seconds

RECIPE_HELP = (
    "Settings to start from; by default auto, which chooses by your data; with --epochs, the recipe of the network or "
    "kind of data. One of "
    f"{', '.join(recipes.list_recipes())}."
)
Recipe = Annotated[str | None, Parameter(help=RECIPE_HELP, metavar="NAME")]


def train(
    data: str | None = None,
    *,
    model: Model = None,
    task: TaskName = None,
    recipe: Recipe = None,
    epochs: Annotated[str | None, Parameter(metavar="INT")] = None,
    minutes: Annotated[str | None, Parameter(metavar="FLOAT")] = None,
    config: Path | None = None,
    name: Annotated[str | None, Parameter(metavar="NAME")] = None,
    runs_folder: Annotated[Path, Parameter(name="--runs")] = Path("runs"),
    resume: Annotated[str | None, Parameter(metavar="RUN")] = None,
    download: Download = False,
    devices: int | None = None,
    help_all: Switch = False,
    help_section: Annotated[str | None, Parameter(metavar="SECTION")] = None,
    flags: AllFlags = None,
) -> int:
    """Train a network on your data and leave a run folder.

    neocog train images/                   # look, race, train the best: ten minutes
    neocog train images/ --minutes 3
    neocog train reviews.csv --model text_cnn
    neocog train images/ --recipe general --epochs 30 --augment.flip 0.5
    neocog train --resume runs/images-auto-1
    neocog train more/ --model.pretrained runs/images-auto-1

    Without --recipe and --epochs, the recipe is auto: it looks at your data,
    races a few networks, trains the best in the time that is left, and says why.
    What you set stays as you set it.

    The folder runs/NAME holds report.html, model.neocog, results.csv, config.yaml
    and checkpoints. Ctrl-C saves a checkpoint and prints the command to resume.
    Flags override the YAML file of --config, which overrides the recipe.
    In Python: neocog.train("images/", epochs=30), neocog.resume("runs/NAME").

    Parameters
    ----------
    data
        A known data set (mnist, fashion_mnist, cifar10, cifar100), or a path to images, signals, audio, texts or Go
        games in any layout that `neocog check DATA` detects, such as train/CLASS/*.png or CLASS/*.png.
    epochs
        Passes over the training data; with --resume, the total that the run should have.
    minutes
        The time for the whole run, from the start of the program to the test metrics; 10 with the recipe auto. With
        another recipe it sets the epochs.
    config
        A YAML file with settings by section, such as the config.yaml of a run.
    name
        The name of the run; by default DATA-MODEL-NUMBER.
    runs_folder
        Where run folders are made.
    resume
        Resume this run, by path or name, from its last checkpoint; with --epochs, for more epochs than planned.
    devices
        Train with this many processes on this machine, one per device. Samples and their order stay the same.
    help_all
        List all settings with their types and defaults.
    help_section
        List the settings of one section, such as image.
    """
    if help_all or help_section is not None:
        write_out(list_settings(help_section))
        return 0
    began = time.monotonic() - process_seconds()
    if resume is not None:
        given = {"DATA": data, "--model": model, "--task": task, "--recipe": recipe, "--minutes": minutes,
                 "--config": config, "--name": name, "--download": download or None, "settings": flags}  # fmt: skip
        unused = [key for key, value in given.items() if value is not None]
        if unused:
            raise ConfigError(
                f"A resumed run keeps its settings. {', '.join(unused)} would be ignored.",
                fix="Leave them out (--epochs may stay), or start a new run.",
                kind="ignored",
            )
        if devices is not None:
            return start_ranks(devices, sys.argv[1:], device=device_of_run(resume, runs_folder))
        run = verbs.resume(resume, epochs=epochs, runs=runs_folder, began=began)
    else:
        settings = flag_settings(
            flags, model=model, task=task, recipe=recipe, epochs=epochs, minutes=minutes, config=config
        )
        if devices is not None:
            resolved, _ = recipes.resolve_config(data, **settings)
            return start_ranks(devices, sys.argv[1:], device=resolved.config.train.device)
        run = verbs.train(data, name=name, runs=runs_folder, download=download, began=began, **settings)
    show_run(run)
    return 0


def device_of_run(resume: str, runs_folder: Path) -> str:
    """The kind of device that a run was started on."""
    _, values, _ = runs.read_config(Run.open(resume, runs_folder).config)
    return str(values.get("train.device", "auto")).partition(":")[0]


def show_run(run: Run) -> None:
    """Print the final summary (the first process only)."""
    if run.evaluation is not None:
        show_evaluation(run.evaluation, brief=True)
        write_out(f"\nreport  {run.report}\nmodel   {run.bundle}")
