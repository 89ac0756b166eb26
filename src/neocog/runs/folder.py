"""A run's folder: what is where, and the log of what happened."""

import csv
import io
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neocog.errors import RunError, StorageError
from neocog.evaluation import Evaluation
from neocog.files import append_line, storage_errors, write_whole

__all__ = ["Run"]


@dataclass(slots=True)
class Run:
    """A folder `runs/NAME/` with everything that a run leaves behind."""

    path: Path
    evaluation: Evaluation | None = None
    """The figures of the finished run."""

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def results(self) -> Path:
        return self.path / "results.csv"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.safetensors"

    @property
    def speed(self) -> Path:
        """How steps are computed, once that is decided."""
        return self.path / "speed.json"

    @property
    def start(self) -> Path:
        """A copy of the model that the run started from, if that is one of the user's own."""
        return self.path / "start.neocog"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.safetensors"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def bundle(self) -> Path:
        return self.path / "model.neocog"

    @property
    def figures(self) -> Path:
        return self.path / "evaluation.json"

    @classmethod
    def check_name(cls, runs: Path, name: str) -> None:
        """Raises RunError where the name is taken, or would leave the folder of runs."""
        if Path(name).name != name or name in ("", ".", ".."):
            raise RunError(f"A run's name is one folder name. Received: {name!r}. Choose the place with --runs.")
        if (runs / name).exists():
            raise RunError(
                f"A run needs a folder of its own. {runs / name} exists. Choose another --name, or go on with it: "
                f"neocog train --resume {shlex.quote(str(runs / name))}"
            )

    @classmethod
    def create(cls, runs: Path, name: str | None, stem: str) -> "Run":
        """Make a new folder: `name`, or the next free number behind `stem`. Raises RunError as `check_name` does."""
        while True:
            chosen = next_name(runs, stem) if name is None else name
            cls.check_name(runs, chosen)
            try:
                with storage_errors(runs / chosen):
                    (runs / chosen / "checkpoints").mkdir(parents=True)
            except StorageError as error:
                if isinstance(error.__cause__, FileExistsError) and name is None:
                    continue  # another start took this number in the meantime
                raise
            return cls(runs / chosen)

    @classmethod
    def open(cls, path: str | Path, runs: Path) -> "Run":
        """An existing run, by path or by name. Raises RunError where there is none."""
        for candidate in (Path(path), runs / path):
            if (candidate / "config.yaml").is_file():
                return cls(candidate)
        names = sorted(config.parent.name for config in runs.glob("*/config.yaml"))
        known = f"Runs here: {', '.join(names)}." if names else f"There are no runs in {runs.resolve()}."
        raise RunError(f"{path} is no run: it has no config.yaml. {known}")

    @property
    def extension(self) -> Path:
        """For how many epochs the run is being extended; not there otherwise."""
        return self.path / "extension.json"

    @property
    def finished(self) -> bool:
        return self.figures.is_file() and not self.extension.is_file()

    def log(self, event: str, **facts: Any) -> None:
        """Add a line to events.jsonl."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        append_line(self.events, json.dumps({"time": time, "event": event, **facts}, allow_nan=False))

    def write_results(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write results.csv: a row for each finished epoch."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
        write_whole(self.results, buffer.getvalue())


def next_name(runs: Path, stem: str) -> str:
    """The stem with the number behind the highest that is taken."""
    pattern = re.compile(re.escape(stem) + r"-(\d+)$")
    names = [path.name for path in runs.iterdir()] if runs.is_dir() else []
    taken = [int(found[1]) for name in names if (found := pattern.match(name))]
    return f"{stem}-{max(taken, default=0) + 1}"
