"""Carry out a study: propose, train, write down, until the trials or the time are used up; then train the best."""

import json
import math
import shlex
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from neocog import __version__
from neocog import runs as engine
from neocog.data import Opened, Source, tell
from neocog.errors import ConfigError, RunError
from neocog.files import folder_lock, write_whole
from neocog.progress import note
from neocog.recipes.ranges import Range
from neocog.recipes.resolve import Settings, resolve_config
from neocog.runs import ResolvedConfig, Run, SetBy
from neocog.runs.config import read_run_config, with_paths
from neocog.runs.data import check_data, open_configured
from neocog.runs.session import session
from neocog.runs.split import split_source
from neocog.tasks import TASKS
from neocog.training import Interrupted
from neocog.training.distributed import World
from neocog.tuning.limits import Limits, parse_latency, parse_size
from neocog.tuning.page import describe, write_page, write_table
from neocog.tuning.ranges import check_ranges, choose_ranges, parse_range, recipe_value
from neocog.tuning.sampler import Journal, find_optuna, propose
from neocog.tuning.study import Plan, Study, create_folder, no_result, open_study, write_clock
from neocog.tuning.trial import TunedTrial, run_trial

__all__ = ["resume_study", "tune"]

TRIALS = 30
SHORTEST = 6.0
"""Seconds that the final training has at least, however little time is left."""


def tune(
    start: object = None,
    /,
    *,
    data: object = None,
    trials: int | None = None,
    ranges: Mapping[str, Any] | None = None,
    max_latency: str | None = None,
    max_size: str | None = None,
    final: bool = True,
    name: str | None = None,
    studies: str | Path = "studies",
    download: bool = False,
    began: float | None = None,
    **settings: Unpack[Settings],
) -> Study:
    """Look for better settings in a number of trials, and leave everything in a new folder `studies/NAME/`.

    Data and settings are as in `neocog.train`; a setting that is given is fixed. `ranges` by dotted key are added to
    those of the recipe, or replace them: text as on the command line, a pair of numbers, or a list of choices.
    `minutes` bound the whole study; `max_latency` (such as "5ms") and `max_size` ("5MB") bound its networks. Trials are
    30 by default, or as many as fit into `minutes`. At the end, the best is trained once more and tested, if `final`.

        study = neocog.tune("images/", trials=20, ranges={"optimizer.lr": (1e-4, 1e-2)})
        study.best.params, study.run.evaluation

    Raises a NeocogError for what a user can fix, and Interrupted, with the state saved, on the first Ctrl-C.
    """
    began = time.monotonic() if began is None else began
    find_optuna()
    limits = Limits(
        latency=None if max_latency is None else parse_latency(max_latency),
        size=None if max_size is None else parse_size(max_size),
    )
    given = {key: parse_range(key, one) for key, one in (ranges or {}).items()}
    minutes = read_minutes(settings.pop("minutes", None))
    num_trials = check_length(trials, minutes)
    base, found = resolve_base(start, data, settings)
    with session(base.config) as world:
        if world.size > 1:
            raise ConfigError("A study trains in a single process.", fix="Start it without torchrun.")
        base = base if base.set_by_user("speed.mode") else exact_on_cpu(base, world)
        opened = Opened(open_configured(base.config, found, world, download=download))
        check_data(base.config, opened.source)
        recipe = name_recipe(base)
        chosen, origins = choose_ranges(recipe, base, opened.source, given)
        check_ranges(base, given, world, opened.source, split_source(opened.source, base.config.data, 0))
    plan = make_plan(base, opened.source, recipe, num_trials, minutes, limits, final, chosen, origins)
    folder = create_folder(Path(studies), name, opened.source.name)
    (folder / "trials").mkdir(parents=True)
    with folder_lock(folder):
        write_whole(folder / "base.yaml", base.to_yaml())
        write_clock(folder / "clock.json", 0.0, up=False)
        write_whole(folder / "study.yaml", plan.to_yaml())
        return carry_out(folder, opened, began)


def make_plan(
    base: ResolvedConfig, source: Source, recipe: str, trials: int, minutes: float | None, limits: Limits, final: bool,
    ranges: Mapping[str, Range], origins: Mapping[str, str],
) -> Plan:  # fmt: skip
    """The plan of a new study; its metric is that by which the task chooses checkpoints."""
    criterion = TASKS[source.task].criterion
    return Plan(
        data=source.name, recipe=recipe, task=source.task, metric=criterion.metric,
        mode=criterion.mode, seed=base.config.train.seed, trials=trials, minutes=minutes, limits=limits,
        final=final, ranges=ranges, origins=origins,
        versions={"neocog": __version__, "optuna": find_optuna().__version__},
    )  # fmt: skip


def resume_study(
    path: str | Path, *, data: object = None, studies: str | Path = "studies", began: float | None = None
) -> Study:
    """Resume a study that was stopped, in a trial or in its final training, with the settings it began with.

    `data` is the Python object that the study was started with, if it had one.
    Raises RunError if it is finished, or in use by another process.
    """
    began = time.monotonic() if began is None else began
    study = open_study(path, studies)
    with lock_study(study.path):
        study = open_study(study.path, writes=True)
        if study.finished:
            raise RunError(
                f"The study {study.path} is finished, with {len(study.trials)} trials.",
                fix=f"See its results with: neocog tune --show {shlex.quote(str(study.path))}",
            )
        base = read_run_config(study.base)
        with session(base.config) as world:
            opened = Opened(open_configured(base.config, data, world, download=False))
        return carry_out(study.path, opened, began)


@contextmanager
def lock_study(folder: Path) -> Iterator[None]:
    """Hold the study for this process. Raises RunError if another one does."""
    try:
        lock = folder_lock(folder)
        lock.__enter__()
    except RunError:
        raise RunError(
            f"Only one process at a time can work on a study. {folder} is in use by another one.",
            fix="Wait for it, or stop it.",
        ) from None
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def read_minutes(given: float | str | None) -> float | None:
    """The time of a study. Raises ConfigError for anything but a number above zero."""
    try:
        minutes = None if given is None else float(given)
    except ValueError as error:
        raise ConfigError("The minutes of a study are a number.", received=f"--minutes {given}") from error
    if minutes is not None and not 0 < minutes < math.inf:
        raise ConfigError("The minutes of a study are above zero.", received=f"--minutes {given}")
    return minutes


def check_length(trials: int | None, minutes: float | None) -> int:
    """The number of trials. Raises ConfigError for fewer than one."""
    if trials is not None and trials < 1:
        raise ConfigError("A study has at least one trial.", received=f"--trials {trials}")
    return trials if trials is not None else TRIALS if minutes is None else 10_000


def resolve_base(start: object, data: object, settings: Settings) -> tuple[ResolvedConfig, object]:
    """The settings that all trials share. Raises ConfigError for those of a search or a clock."""
    if settings.get("recipe") == "auto":
        raise ConfigError(
            "The recipe auto chooses settings on its own, so there is nothing to tune.", received="--recipe auto",
            fix="Leave it out, or name another recipe.",
        )  # fmt: skip
    base, found = resolve_config(start, data=data, searches=False, **settings)
    if base.config.train.minutes is not None:
        raise ConfigError(
            "The length of a trial is its epochs.", received=f"train.minutes={base.config.train.minutes:g}",
            fix="Set train.epochs; minutes bound the whole study.",
        )  # fmt: skip
    return ResolvedConfig(with_paths(base.config), base.provenance), found


def exact_on_cpu(base: ResolvedConfig, world: World) -> ResolvedConfig:
    """The settings with steps computed the same way in every trial, whatever is measured; on a GPU as they are."""
    if world.device.type != "cpu":
        return base
    return base.choose({"speed.mode": ("exact", "so that a study has the same trials however often it is stopped")})


def name_recipe(base: ResolvedConfig) -> str:
    """The recipe that the settings start from."""
    names = {origin.detail for origin in base.provenance.values() if origin.by is SetBy.RECIPE}
    return names.pop() if len(names) == 1 else "general"


@dataclass(slots=True)
class Clock:
    """The time of a study, over all its processes."""

    path: Path
    seconds: float | None
    """For everything; None: no end."""
    began: float
    before: float
    reserve: float = 0.0
    """Seconds that the final training is expected to take."""

    @property
    def used(self) -> float:
        return self.before + time.monotonic() - self.began

    def is_up(self, needed: float = 0.0) -> bool:
        """Whether the time is up but for the final training, which takes `needed` or what a whole trial took."""
        self.write()
        return self.seconds is not None and self.used + max(self.reserve, needed) >= self.seconds

    def write(self, *, up: bool = False) -> None:
        write_clock(self.path, self.used, up=up)


def carry_out(folder: Path, opened: Opened, began: float) -> Study:
    """All that is left of a study, whose lock this process holds."""
    study = open_study(folder, writes=True)
    plan = study.plan
    kept = read_clock(study.clock)
    clock = Clock(study.clock, None if plan.minutes is None else 60 * plan.minutes, began, kept)
    tell(opened.source)
    for key, one in plan.ranges.items():
        note(f"  {key}: {one}  ({plan.origins[key]})")
    with name_resume_command(study):
        study = run_trials(study, opened, clock)
        if not any(trial.value is not None for trial in study.trials):
            raise no_result(study)
        if plan.final and study.run is None:
            train_best(study, opened, clock)
    write_page(study)
    return study


def read_clock(path: Path) -> float:
    """Seconds that the processes so far have used."""
    return float(json.loads(path.read_text())["seconds"])


def run_trials(study: Study, opened: Opened, clock: Clock) -> Study:
    """The trials that are left."""
    plan, base = study.plan, read_run_config(study.base)
    journal = Journal(study.path / "journal.log", plan.mode)
    given = {key: recipe_value(base, key, one) for key, one in plan.ranges.items()}
    first = {key: value for key, value in given.items() if value is not None or holds_none(plan, key)}
    for trial in study.trials:
        clock.reserve = max(clock.reserve, whole_seconds(trial, plan))
    while not study.done:
        number = len(study.trials)
        if number and clock.is_up():
            note("The time of the study is up.")
            clock.write(up=True)
            break
        params, pruner = propose(number, study.trials, plan.ranges, seed=plan.seed, num_trials=plan.trials,
                                 mode=plan.mode, first=first)  # fmt: skip
        epochs = int(params.get("train.epochs", base.config.train.epochs))

        def is_late(seconds: float, done: int, epochs: int = epochs) -> bool:
            return clock.is_up(seconds / done * epochs if plan.final else 0.0)

        trial = run_trial(
            number, params, study.folder(number), base=base, data=opened, limits=plan.limits, pruner=pruner,
            is_late=is_late,
        )  # fmt: skip
        journal.add(trial, plan.ranges)
        note(describe(trial, plan.metric))
        clock.reserve = max(clock.reserve, whole_seconds(trial, plan))
        clock.write()
        study = replace(study, trials=(*study.trials, trial))
        write_results(study)
    write_results(study)
    return study


def holds_none(plan: Plan, key: str) -> bool:
    """Whether None is a value of this range."""
    return None in getattr(plan.ranges[key], "values", ())


def whole_seconds(trial: TunedTrial, plan: Plan) -> float:
    """The seconds of a whole trial, which the final training takes, too; zero without one."""
    return trial.seconds if plan.final and trial.outcome == "complete" else 0.0


def write_results(study: Study) -> None:
    """Write what follows from the trials: the table, the page, and the best settings."""
    write_table(study)
    write_page(study)
    if any(trial.value is not None for trial in study.trials):
        best = study.best
        text = Run(study.folder(best.number)).config.read_text(encoding="utf-8")
        head = f"# The settings of trial {best.number} of the study {study.path.name}.\n"
        write_whole(study.config, head + text)


def train_best(study: Study, opened: Opened, clock: Clock) -> None:
    """Train the best settings in `final/`, and measure them on the test data; from a checkpoint if there is one."""
    run = Run(study.path / "final")
    note(f"Training the settings of trial {study.best.number} for the test figures")
    if run.config.is_file() and not run.finished:
        run = engine.resume(run.path, data=opened)
    else:
        if run.path.exists():  # a kill came before its settings were written, or just before its figures were
            shutil.rmtree(run.path)
        run = engine.train(within(read_run_config(Run(study.folder(study.best.number)).config), clock), data=opened,
                           name="final", runs=study.path)  # fmt: skip
    assert run.evaluation is not None
    figures = {
        name: {"value": found.value, "low": found.low, "high": found.high}
        for name, found in run.evaluation.metrics.items()
    }
    write_whole(study.figures, json.dumps(figures, indent=1))


def within(best: ResolvedConfig, clock: Clock) -> ResolvedConfig:
    """The settings, within the time that is left, if the study has an end; never longer than the trial was."""
    if clock.seconds is None:
        return best
    left, reason = max(SHORTEST, clock.seconds - clock.used), "what was left of the study's time"
    most = best.config.train.epochs
    return best.choose({"train.minutes": (left / 60, reason), "train.most_epochs": (most, reason)})


@contextmanager
def name_resume_command(study: Study) -> Iterator[None]:
    """An interruption names the command that resumes the study."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stop:
        signum = stop.signum if isinstance(stop, Interrupted) else signal.SIGINT
        command = f"neocog tune --resume {shlex.quote(str(study.path))}"
        raise Interrupted(f"The study was stopped; saved. Resume with: {command}", signum) from None
