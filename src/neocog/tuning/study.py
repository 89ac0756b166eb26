"""A study: its folder, its settings, and its trials as Python values."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from neocog.errors import RunError
from neocog.files import write_whole
from neocog.recipes.ranges import Choices, Numbers, Range
from neocog.runs import Run
from neocog.tuning.limits import Limits
from neocog.tuning.sampler import Journal
from neocog.tuning.trial import TunedTrial

__all__ = ["Plan", "Study", "best_of_study", "create_folder", "no_result", "open_study", "write_clock"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The plan of a study, as `study.yaml` has it."""

    data: str
    """The name of the data."""
    recipe: str
    task: str
    metric: str
    mode: str
    """max or min: the best value."""
    seed: int
    trials: int
    minutes: float | None
    limits: Limits
    final: bool
    """Whether the best settings are trained and tested at the end."""
    ranges: Mapping[str, Range]
    origins: Mapping[str, str]
    """Where each range comes from."""
    versions: Mapping[str, str]

    def to_yaml(self) -> str:
        ranges = {key: {"range": range_json(one), "from": self.origins[key]} for key, one in self.ranges.items()}
        return "# A study of settings. Resume it with: neocog tune --resume THIS_FOLDER\n" + yaml.safe_dump(
            {
                "data": self.data, "recipe": self.recipe, "task": self.task,
                "metric": self.metric, "best": self.mode, "seed": self.seed, "trials": self.trials,
                "minutes": self.minutes, "max_latency": self.limits.latency, "max_size": self.limits.size,
                "final": self.final, "ranges": ranges, "versions": dict(self.versions),
            },
            sort_keys=False, allow_unicode=True,
        )  # fmt: skip

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """Raises RunError for a file that isn't one of a study."""
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            return cls(
                data=found["data"], recipe=found["recipe"], task=found["task"], metric=found["metric"],
                mode=found["best"], seed=found["seed"], trials=found["trials"], minutes=found["minutes"],
                limits=Limits(latency=found["max_latency"], size=found["max_size"]), final=found["final"],
                ranges={key: read_range(one["range"]) for key, one in found["ranges"].items()},
                origins={key: one["from"] for key, one in found["ranges"].items()}, versions=found["versions"],
            )  # fmt: skip
        except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise RunError(f"{path} is damaged.", fix="Start a new study with the same command.") from error


def range_json(one: Range) -> Any:
    """A range as YAML has it.

    >>> range_json(Numbers(0.001, 0.1, log=True)), range_json(Choices(("sgd", None)))
    ({'low': 0.001, 'high': 0.1, 'log': True, 'integer': False}, ['sgd', None])
    """
    if isinstance(one, Choices):
        return list(one.values)
    return {"low": one.low, "high": one.high, "log": one.log, "integer": one.integer}


def read_range(found: Any) -> Range:
    """The inverse of `range_json`."""
    return Choices(tuple(found)) if isinstance(found, list) else Numbers(**found)


@dataclass(frozen=True, slots=True)
class Study:
    """A study of settings, in a folder `studies/NAME/`."""

    path: Path
    plan: Plan
    trials: Sequence[TunedTrial]
    """The finished trials, in their order."""

    @property
    def best(self) -> TunedTrial:
        """The whole trial with the best value; without any, the best of those that were cut short.

        Raises RunError if no trial has a value.
        """
        found = best_of_study(self.trials, self.plan.mode)
        if found is None:
            raise no_result(self)
        return found

    @property
    def run(self) -> Run | None:
        """The final run, if it is finished."""
        return Run(self.path / "final") if self.figures.is_file() else None

    @property
    def test(self) -> dict[str, dict[str, float]]:
        """The figures of the final run on the test data, `value` and 95% interval; none before it is finished."""
        if self.run is None:
            return {}
        found: dict[str, dict[str, float]] = json.loads(self.figures.read_text(encoding="utf-8"))
        return found

    @property
    def figures(self) -> Path:
        return self.path / "test.json"

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.done and (not self.plan.final or self.run is not None)

    @property
    def done(self) -> bool:
        """Whether no trial is left to do: all were done, or their time is up."""
        return len(self.trials) >= self.plan.trials or json.loads(self.clock.read_text())["up"]

    @property
    def clock(self) -> Path:
        return self.path / "clock.json"

    @property
    def base(self) -> Path:
        """The settings that all trials share."""
        return self.path / "base.yaml"

    @property
    def config(self) -> Path:
        """The settings of the best trial, as `neocog train --config` reads them."""
        return self.path / "best.yaml"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def table(self) -> Path:
        return self.path / "trials.csv"

    def folder(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.path / "trials" / f"{number:03d}"


def best_of_study(trials: Sequence[TunedTrial], mode: str) -> TunedTrial | None:
    """The best whole trial, the first of equal ones; or else the best of those that were cut short."""
    sign = -1 if mode == "min" else 1
    valued = [trial for trial in trials if trial.value is not None and trial.value == trial.value]
    whole = [trial for trial in valued if trial.outcome == "complete"]
    return max(whole or valued, key=lambda trial: (sign * (trial.value or 0.0), -trial.number), default=None)


def no_result(study: Study) -> RunError:
    """All trials of a study have failed, or none has begun."""
    if not study.trials:
        return RunError(f"{study.path} has no finished trial yet.", fix=f"neocog tune --resume {study.path}")
    first = study.trials[0]
    rejected = all(trial.outcome == "rejected" for trial in study.trials)
    return RunError(
        f"All {len(study.trials)} trials were rejected." if rejected else f"All {len(study.trials)} trials failed.",
        received=f"trial {first.number}: {first.error}".rstrip("."),
        where=str(study.path),
        fix="Raise the limits, or add smaller networks: --range model.name=A,B" if rejected
        else "Fix a setting that fails, or narrow its range.",
    )  # fmt: skip


def open_study(path: str | Path, studies: str | Path = "studies", *, writes: bool = False) -> Study:
    """A study, by its folder or name. Raises RunError if it isn't one, ConfigError without Optuna."""
    for folder in (Path(path), Path(studies) / path):
        if (folder / "study.yaml").is_file():
            plan = Plan.read(folder / "study.yaml")
            has_journal = writes or (folder / "journal.log").is_file()
            trials = Journal(folder / "journal.log", plan.mode, writes=writes).trials() if has_journal else []
            return Study(folder, plan, trials)
    names = sorted(found.parent.name for found in Path(studies).glob("*/study.yaml"))
    known = f"Studies here: {', '.join(names)}." if names else f"There are no studies in {Path(studies).resolve()}."
    raise RunError(f"{path} is not a study: study.yaml is missing.", fix=known)


def create_folder(studies: Path, name: str | None, stem: str) -> Path:
    """A new folder: `name`, or the stem with the next free number. Raises RunError if the name is taken."""
    if name is None:
        taken = [int(found[1]) for path in (studies.iterdir() if studies.is_dir() else ())
                 if (found := re.fullmatch(re.escape(stem) + r"-(\d+)", path.name))]  # fmt: skip
        name = f"{stem}-{max(taken, default=0) + 1}"
    if Path(name).name != name or name in ("", ".", ".."):
        raise RunError("The name of a study is a single folder name.", received=repr(name),
                       fix="Choose the place with --studies.")  # fmt: skip
    folder = studies / name
    if folder.exists():
        raise RunError(
            f"A study needs a folder of its own, and {folder} exists.",
            fix=f"Choose another --name, or resume it: neocog tune --resume {folder}",
        )
    return folder


def write_clock(path: Path, seconds: float, *, up: bool) -> None:
    """Keep the seconds that a study has used, and whether its time is up."""
    write_whole(path, json.dumps({"seconds": round(seconds, 3), "up": up}))
