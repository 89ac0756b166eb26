"""Everything that a run folder says without its data: curves, events, metrics, confusion matrix."""

import csv
import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from neocog.errors import RunError, did_you_mean
from neocog.evaluation.calibration import BINS
from neocog.runs import Run
from neocog.studio.examples import example_folder, example_runs
from neocog.studio.state import Studio

__all__ = ["find_run", "list_runs", "read_history", "read_stored", "run_facts", "stamp"]

STEPS = 600  # points of a curve
FRESH = 90.0  # seconds since its last event in which a run that isn't finished counts as training
LABELS = {
    "top1": "accuracy", "top5": "top-5 accuracy", "macro_f1": "macro F1", "auroc": "macro AUROC",
    "ece": "calibration error (ECE)", "ece_before": "ECE before calibration", "mean_iou": "mIoU",
    "mean_dice": "mean Dice", "boundary_f": "boundary F", "mean_average_precision": "mAP", "micro_f1": "micro F1",
    "mae": "MAE", "rmse": "RMSE", "r2": "R2", "f1": "F1", "event_f1": "event F1",
}  # fmt: skip
"""Names of metrics as reports show them, by their field in evaluation.json; others are their field's."""
TABLES = ("per_class", "per_label", "per_output")
WORST = ("mistakes", "worst")
NOT_TOLD = frozenset({"step", "epoch", "speed", "start", "search", "finished", "replanned", "start validated"})
"""Events that are shown as curves or facts, and not as messages."""


def list_runs(studio: Studio) -> dict[str, Path]:
    """All open run folders by name, the newest first; of two with one name, the second is called by its path."""
    folders = list(studio.runs.iterdir()) if studio.runs is not None and studio.runs.is_dir() else []
    folders += [each.run for each in studio.networks.values() if each.run is not None] + example_runs()
    found: dict[str, Path] = {}
    for path in dict.fromkeys(path.resolve() for path in folders):
        if (path / "config.yaml").is_file() or (path / "events.jsonl").is_file():
            found[path.name if path.name not in found else str(path)] = path
    return dict(sorted(found.items(), key=lambda item: -changed(item[1])))


def changed(path: Path) -> float:
    """When a run last said something, in seconds."""
    return max((file.stat().st_mtime for name in ("events.jsonl", "results.csv") if (file := path / name).is_file()),
               default=0.0)  # fmt: skip


def find_run(studio: Studio, name: str) -> Run:
    """A run by its name. Raises RunError if it isn't there."""
    runs = list_runs(studio)
    if name not in runs:
        raise RunError(
            "There is no such run.", received=repr(name),
            fix=did_you_mean(name, runs) if runs else "Start the Studio with a folder of runs: neocog studio runs/",
        )  # fmt: skip
    return Run(runs[name])


def stamp(run: Run) -> tuple[tuple[int, int], ...]:
    """Changes whenever the run has written something that a curve shows."""
    files = (run.results, run.events, run.figures)
    return tuple((s.st_mtime_ns, s.st_size) if (s := stat(file)) else (0, 0) for file in files)


def stat(file: Path) -> Any:
    try:
        return file.stat()
    except OSError:
        return None


def run_facts(name: str, run: Run) -> dict[str, Any]:
    """One line on a run: network, data, how far it is, and its metrics if it is finished."""
    events = list(read_events(run))
    begun = next((each for each in events if each["event"] == "start"), {})
    last = [each for each in events if each["event"] == "finished"]
    ended = last[-1] if last and run.finished else {}
    epochs = [each["epoch"] for each in events if each["event"] == "epoch"]
    age = max(0.0, time.time() - changed(run.path))
    return {
        "name": name, "folder": str(run.path), "data": begun.get("data", ""), "model": begun.get("model", ""),
        "epochs": max(epochs, default=0), "finished": run.finished, "has_model": run.bundle.is_file(),
        "training": not run.finished and age < FRESH, "seconds_since": age, "split": ended.get("split", ""),
        "metrics": {k: v for k, v in ended.items() if isinstance(v, int | float)},
        "example": run.path.parent == example_folder(),
    }  # fmt: skip


def read_events(run: Run) -> Iterator[dict[str, Any]]:
    """The lines of events.jsonl; one that is cut off, because it is being written, is left out."""
    try:
        lines = run.events.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "event" in event:
            yield event


def read_history(name: str, run: Run) -> dict[str, Any]:
    """The curves of a run: a column for each metric by epoch, the loss by step, and what it had to say.

    `epochs` maps column -> list, NaN as None; `steps` has the columns step, loss and lr, thinned to 600 points.
    """
    events = list(read_events(run))
    steps = [each for each in events if each["event"] == "step"]
    kept = steps[:: max(1, math.ceil(len(steps) / STEPS))]
    return {
        "name": name,
        "epochs": read_results(run),
        "best": [each["epoch"] for each in events if each["event"] == "epoch" and each.get("best")],
        "steps": {key: [number(each.get(key)) for each in kept] for key in ("step", "loss", "lr")},
        "messages": [message(each) for each in events if each["event"] not in NOT_TOLD],
        "finished": run.finished,
        "code": history_code(run),
    }


def read_results(run: Run) -> dict[str, list[float | None]]:
    try:
        rows = list(csv.DictReader(run.results.read_text(encoding="utf-8").splitlines()))
    except OSError:
        return {}
    return {key: [number(row.get(key)) for row in rows] for key in rows[0]} if rows else {}


def number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def message(event: Mapping[str, Any]) -> str:
    """An event as a sentence: its own, if it has one."""
    said = next((str(event[key]) for key in ("message", "text", "reason") if event.get(key)), "")
    facts = ", ".join(f"{key} {value}" for key, value in event.items() if key not in ("time", "event"))
    return f"{event['event']}: {said or facts}"


def history_code(run: Run) -> str:
    return (
        "import csv\nfrom pathlib import Path\n\nimport matplotlib.pyplot as plt\n\n"
        f"rows = list(csv.DictReader(Path({str(run.results)!r}).read_text().splitlines()))\n"
        'epochs = [int(row["epoch"]) for row in rows]\n\n'
        'for column in ("train_loss", "val_loss"):\n'
        "    plt.plot(epochs, [float(row[column]) for row in rows], label=column)\n"
        "plt.legend()\n"
    )


def read_stored(run: Run) -> dict[str, Any]:
    """The figures of a finished run, from evaluation.json. Raises RunError if it isn't finished, or can't be read."""
    try:
        figures = json.loads(run.figures.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(
            "A run is measured when it is finished.", received=f"{run.path.name}, without evaluation.json",
            fix="Wait until it is done, or resume it: neocog train --resume.", kind="unfinished",
        ) from error  # fmt: skip
    except ValueError as error:
        raise RunError(f"{run.figures} can't be read: {error}.", fix="Measure the model again: neocog eval.") from error
    classes = figures.get("classes") or figures.get("outputs") or []
    estimates = {name: value for name, value in figures.items() if is_estimate(value)}
    estimates |= {name: value for name, value in (figures.get("figures") or {}).items() if is_estimate(value)}
    return {
        "data": figures.get("data", ""), "split": figures.get("split", ""), "count": figures.get("count", 0),
        "classes": classes,
        "metrics": [{"name": LABELS.get(name, name.replace("_", " ")), **value} for name, value in estimates.items()],
        "confusion": figures.get("confusion"), "confusion_of": "samples" if "top1" in figures else "places",
        "reliability": figures.get("reliability"), "bins": BINS, "temperature": figures.get("temperature"),
        "per_class": table_of(next((figures[key] for key in TABLES if figures.get(key)), [])),
        "worst": [worst_of(row) for row in next((figures[key] for key in WORST if figures.get(key)), [])],
        "code": stored_code(run, "confusion" in figures),
    }  # fmt: skip


def is_estimate(value: Any) -> bool:
    return isinstance(value, dict) and {"value", "low", "high", "method"} <= set(value)


def table_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows of figures as a head and cells; columns without plain values are left out."""
    head = [k for k, v in rows[0].items() if isinstance(v, str | int | float) or v is None] if rows else []
    return {"head": [name.replace("_", " ") for name in head], "rows": [[row.get(k) for k in head] for row in rows]}


def worst_of(row: Mapping[str, Any]) -> dict[str, str]:
    """A sample on which the network was far off, in words."""
    if "truth_probability" in row:
        truth, found = (
            f"{row['truth']} ({row['truth_probability']:.1%})",
            f"{row['prediction']} ({row['probability']:.1%})",
        )
    elif "target_text" in row:
        truth, found = str(row["target_text"]), str(row["prediction_text"])
    else:
        given = {k: v for k, v in row.items() if k != "key"}
        truth = in_words(given.pop("labels", given.pop("truth", given.pop("target", ""))))
        found = ", ".join(in_words(v) if k in ("predicted", "prediction") else f"{k} {in_words(v)}"
                          for k, v in given.items())  # fmt: skip
    return {"key": str(row.get("key", "")), "truth": truth, "prediction": found}


def in_words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(in_words, value)) or "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def stored_code(run: Run, has_confusion: bool) -> str:
    shown = 'confusion = figures["confusion"]  # rows: true class, columns: predicted class\n' if has_confusion else ""
    return (
        "import json\nfrom pathlib import Path\n\n"
        f"figures = json.loads(Path({str(run.figures)!r}).read_text())\n{shown}"
        "print({name: value for name, value in figures.items() if isinstance(value, dict)})\n"
    )
