"""A run folder: its files, and the log of events."""

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
    """A folder `runs/NAME/` with everything that a run writes."""

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
        """Precision, memory format and compilation, once they are chosen."""
        return self.path / "speed.json"

    @property
    def start(self) -> Path:
        """A copy of the model that the run started from, if the user named one of their own."""
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
        """Raises RunError if the name is taken, or leads out of the folder of runs."""
        if Path(name).name != name or name in ("", ".", ".."):
            raise RunError(
                "The name of a run is a single folder name.", received=repr(name), fix="Choose the place with --runs."
            )
        if (runs / name).exists():
            raise RunError(
                f"A run needs a folder of its own, and {runs / name} exists.",
                fix=f"Choose another --name, or resume it: neocog train --resume {shlex.quote(str(runs / name))}",
            )

    @classmethod
    def create(cls, runs: Path, name: str | None, stem: str) -> "Run":
        """Make a new folder: `name`, or `stem` with the next free number. Raises RunError as `check_name` does."""
        while True:
            chosen = next_name(runs, stem) if name is None else name
            cls.check_name(runs, chosen)
            try:
                with storage_errors(runs / chosen):
                    (runs / chosen / "checkpoints").mkdir(parents=True)
            except StorageError as error:
                if isinstance(error.__cause__, FileExistsError) and name is None:
                    continue  # another process took this number in the meantime
                raise
            return cls(runs / chosen)

    @classmethod
    def open(cls, path: str | Path, runs: Path) -> "Run":
        """An existing run, by path or by name. Raises RunError if there is none."""
        for candidate in (Path(path), runs / path):
            if (candidate / "config.yaml").is_file():
                return cls(candidate)
        names = sorted(config.parent.name for config in runs.glob("*/config.yaml"))
        known = f"Runs here: {', '.join(names)}." if names else f"There are no runs in {runs.resolve()}."
        raise RunError(f"{path} is not a run folder: config.yaml is missing.", fix=known)

    @property
    def extension(self) -> Path:
        """The new number of epochs while the run is being extended; missing otherwise."""
        return self.path / "extension.json"

    @property
    def finished(self) -> bool:
        return self.figures.is_file() and not self.extension.is_file()

    def log(self, event: str, **facts: Any) -> None:
        """Add a line to events.jsonl."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        append_line(self.events, json.dumps({"time": time, "event": event, **facts}, allow_nan=False))

    def write_results(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write results.csv: a row per finished epoch."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
        write_whole(self.results, buffer.getvalue())


def next_name(runs: Path, stem: str) -> str:
    """The stem with the number after the highest that is taken."""
    pattern = re.compile(re.escape(stem) + r"-(\d+)$")
    names = [path.name for path in runs.iterdir()] if runs.is_dir() else []
    taken = [int(found[1]) for name in names if (found := pattern.match(name))]
    return f"{stem}-{max(taken, default=0) + 1}"
