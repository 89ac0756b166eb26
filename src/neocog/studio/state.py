"""Everything that is open in the Studio: bundles, runs, data, and the inputs that were dropped on the page."""

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neocog.bundle import Predictor, load
from neocog.data import open_source
from neocog.dataset.record import Source
from neocog.errors import ConfigError, NeocogError
from neocog.explaining.explainer import Explainer, Sample
from neocog.studio.jobs import Jobs

__all__ = ["Opened", "Studio"]

INPUTS = 64  # dropped inputs that are kept
MODEL = "model.neocog"


@dataclass(slots=True)
class Opened:
    """A network that is open: a bundle, or the model of a run."""

    name: str
    path: Path
    predictor: Predictor
    explainer: Explainer
    run: Path | None = None
    """The run folder that it comes from, if there is one."""


@dataclass(slots=True)
class Studio:
    """Everything that is open, by name. Work on a network holds its lock: one computation at a time."""

    runs: Path | None = None
    """A folder of run folders."""
    networks: dict[str, Opened] = field(default_factory=dict)
    source: Source | None = None
    """A data set, if one is open."""
    source_name: str = ""
    source_path: str = ""
    """As `open_source` takes it."""
    inputs: "OrderedDict[str, Sample]" = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    results: "OrderedDict[Any, Any]" = field(default_factory=OrderedDict)
    """Answers that took long, the newest last."""
    jobs: Jobs = field(default_factory=Jobs)
    """Work in the background: scoring a run, examining data, training an example."""
    run_data: dict[str, Source] = field(default_factory=dict)
    """The data of runs that have been opened, by the name of the run."""

    @classmethod
    def of(cls, *targets: str | Path) -> "Studio":
        """Open bundles, run folders, folders of runs, and data; nothing is needed for the screens that teach.

        Raises a NeocogError for what can't be read.
        """
        studio = cls()
        for target in targets:
            studio.open(target)
        return studio

    def open(self, target: str | Path) -> None:
        """Open one more bundle, run folder, folder of runs, or data set."""
        path = Path(target)
        if path.is_file() and path.suffix == ".neocog":
            self.open_network(path)
        elif (path / MODEL).is_file() or (path / "config.yaml").is_file():
            self.runs = self.runs or path.parent
            if (path / MODEL).is_file():
                self.open_network(path / MODEL, path)
        elif path.is_dir() and any(path.glob("*/config.yaml")):
            self.runs = path
        else:
            self.source, self.source_name = open_source(str(target)), path.name or str(target)
            self.source_path = str(target)

    def open_network(self, path: Path, run: Path | None = None) -> Opened:
        """Open a bundle, checked and ready to be explained; again, it is the same one."""
        known = next((each for each in self.networks.values() if each.path.resolve() == path.resolve()), None)
        if known:
            return known
        predictor = load(path)
        stem = run.name if run else path.stem if path.stem != "model" else path.resolve().parent.name
        names = (stem if count == 1 else f"{stem}-{count}" for count in itertools.count(1))
        name = next(each for each in names if each not in self.networks)
        self.networks[name] = Opened(name, path, predictor, Explainer.of(predictor), run)
        return self.networks[name]

    def network(self, name: str) -> Opened:
        """The network of this name, or the first. Raises ConfigError if it isn't open."""
        if not name and self.networks:
            return next(iter(self.networks.values()))
        if name not in self.networks:
            raise ConfigError(
                "A network has to be open.", received=repr(name) if name else "none",
                fix="Start the Studio with a bundle or a run: neocog studio model.neocog",
            )  # fmt: skip
        return self.networks[name]

    def keep_input(self, key: str, sample: Sample) -> None:
        """Remember an input under a key; the oldest of many is forgotten."""
        self.inputs[key] = sample
        while len(self.inputs) > INPUTS:
            self.inputs.popitem(last=False)

    def input(self, key: str) -> Sample:
        """An input that was sent before. Raises ConfigError if it has been forgotten."""
        if key not in self.inputs:
            raise ConfigError(
                "An input is sent before it is looked at.", received=repr(key), fix="Send it again.", kind="input"
            )
        return self.inputs[key]

    def remember(self, key: Any, make: Any) -> Any:
        """A result by its key, computed by `make()` if it isn't known; the oldest of many is forgotten."""
        with self.lock:
            if key not in self.results:
                self.results[key] = make()
                while len(self.results) > INPUTS:
                    self.results.popitem(last=False)
            return self.results[key]

    def overview(self) -> dict[str, Any]:
        """Everything that is open, for the page."""
        return {
            "networks": [network_facts(each) for each in self.networks.values()],
            "runs": self.runs is not None or any(each.run for each in self.networks.values()),
            "data": self.source_name,
        }


def network_facts(opened: Opened) -> dict[str, Any]:
    explainer = opened.explainer
    model = opened.predictor.manifest.get("model", {})
    return {
        "name": opened.name,
        "model": model.get("name", ""),
        "task": opened.predictor.task.name,
        "modality": opened.predictor.preprocess.modality,
        "classes": list(opened.predictor.classes),
        "input_shape": list(explainer.input_shape),
        "parameters": explainer.layers.plan.parameters,
        "run": opened.run.name if opened.run else None,
    }


def error_facts(error: NeocogError) -> dict[str, str]:
    """An error as the page shows it."""
    return {
        "error": str(error), "rule": error.rule, "received": error.received, "where": error.where, "fix": error.fix,
        "kind": error.kind or type(error).__name__,
    }  # fmt: skip
