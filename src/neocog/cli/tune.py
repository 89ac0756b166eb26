"""`neocog tune`: a study of settings in a number of trials."""

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neocog.cli.flags import Download
from neocog.cli.output import table
from neocog.cli.section_flags import AllFlags, Model, TaskName, flag_settings
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError, agree
from neocog.training.clock import process_seconds
from neocog.tuning import Study, open_study, resume_study
from neocog.tuning import tune as tune_settings
from neocog.tuning.page import table_rows
from neocog.tuning.ranges import parse_ranges

__all__ = ["tune"]


def tune(
    data: str | None = None,
    *,
    trials: Annotated[int | None, Parameter(metavar="INT")] = None,
    minutes: Annotated[str | None, Parameter(metavar="FLOAT")] = None,
    ranges: Annotated[list[str] | None, Parameter(name="--range", metavar="SETTING=RANGE", negative="")] = None,
    max_latency: Annotated[str | None, Parameter(metavar="TIME")] = None,
    max_size: Annotated[str | None, Parameter(metavar="SIZE")] = None,
    final: bool = True,
    model: Model = None,
    task: TaskName = None,
    recipe: Annotated[str | None, Parameter(metavar="NAME")] = None,
    epochs: Annotated[str | None, Parameter(metavar="INT")] = None,
    config: Path | None = None,
    name: Annotated[str | None, Parameter(metavar="NAME")] = None,
    studies: Path = Path("studies"),
    resume: Annotated[str | None, Parameter(metavar="STUDY")] = None,
    show: Annotated[str | None, Parameter(metavar="STUDY")] = None,
    download: Download = False,
    flags: AllFlags = None,
) -> int:
    """Look for better settings in many short trainings, and train the best.

    neocog tune images/ --trials 30
    neocog tune images/ --minutes 60 --max-latency 5ms --max-size 5MB
    neocog tune images/ --trials 20 --range optimizer.lr=1e-4..1e-2
    neocog tune --resume studies/images-1
    neocog tune --show studies/images-1

    The recipe declares the ranges; --range adds one or replaces it, and a setting
    that you give, such as --epochs 5, is fixed. Trials are compared on validation
    data; the test data measure the final training alone.
    The folder studies/NAME holds report.html, trials.csv, best.yaml and a run
    folder for each trial. It can be stopped at any moment and resumed.
    In Python: neocog.tune("images/", trials=30). Needs: pip install neocog[tune].

    Parameters
    ----------
    data
        As in `neocog train`.
    trials
        The number of trials; by default 30, or as many as fit into --minutes.
    minutes
        The time for the whole study, with the final training.
    ranges
        Values to try: SETTING=LOW..HIGH, with :log or :linear, or SETTING=A,B,C. May be given several times.
    max_latency
        Reject networks that take longer for one sample on this machine, such as 5ms.
    max_size
        Reject networks with more bytes of weights, such as 5MB.
    final
        At the end, train the best settings once more and measure them on the test data.
    recipe
        The recipe to start from; by default that of the kind of data and its task.
    epochs
        Passes over the training data in each trial, and in the final training.
    config
        A YAML file with settings by section; they are fixed.
    name
        The name of the study; by default DATA-NUMBER.
    studies
        Where study folders are made.
    resume
        Resume this study, by path or name.
    show
        Show the results of this study, by path or name.
    """
    began = time.monotonic() - process_seconds()
    given = {"DATA": data, "--trials": trials, "--minutes": minutes, "--range": ranges, "--max-latency": max_latency,
             "--max-size": max_size, "--no-final": None if final else True, "--model": model, "--task": task,
             "--recipe": recipe, "--epochs": epochs, "--config": config, "--name": name,
             "--download": download or None, "settings": flags}  # fmt: skip
    unused = [key for key, value in given.items() if value is not None]
    if (resume is not None or show is not None) and unused:
        raise ConfigError(
            f"A study keeps its settings. {', '.join(unused)} would be ignored.",
            fix="Leave them out, or start a new study.", kind="ignored",
        )  # fmt: skip
    if show is not None:
        show_study(open_study(show, studies))
        return 0
    if resume is not None:
        study = resume_study(resume, studies=studies, began=began)
    else:
        settings = flag_settings(flags, model=model, task=task, recipe=recipe, epochs=epochs, minutes=minutes,
                                 config=config)  # fmt: skip
        study = tune_settings(
            data, trials=trials, ranges=parse_ranges(ranges or ()), max_latency=max_latency,
            max_size=max_size, final=final, name=name, studies=studies, download=download, began=began, **settings,
        )  # fmt: skip
    show_study(study)
    return 0


def show_study(study: Study) -> None:
    """The table of trials, the best, and where everything is."""
    plan = study.plan
    write_out(f"{plan.data}, {plan.task}, recipe {plan.recipe}: {plan.metric} on validation data\n")
    write_out(table(table_rows(study), left=(2,)))
    best = study.best
    write_out(
        f"\nbest    trial {best.number}, {plan.metric} {best.value:.4f} after {agree('{n} epoch(|s)', best.best_epoch)}"
    )
    for metric, found in study.test.items():
        write_out(f"test    {metric} {found['value']:.4f} (95% interval {found['low']:.4f} to {found['high']:.4f})")
    write_out(f"report  {study.report}\nrepeat  neocog train DATA --config {study.config}")
