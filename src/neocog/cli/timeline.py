"""`neocog predict --window`: a line for each window of a recording, or for each event."""

import csv as csvlib
import io
import json as jsonlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from neocog.bundle import Predictor
from neocog.bundle.events import EventPrediction, predict_events
from neocog.bundle.windows import WindowFailure, WindowPrediction, merge_windows, predict_windows
from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError
from neocog.progress import note

__all__ = ["show_timeline"]

MERGED = ("class", "probability", "windows")


def show_timeline(
    predictor: Predictor,
    files: Sequence[Path],
    *,
    window: str | None,
    hop: str | None,
    rate: float | None,
    merge: bool,
    shortest: str | None,
    top: int,
    form: str,
) -> int:
    """Print the predictions for the windows of each file, or its events, if the network gives each sample a class.

    `form` is json, csv or table. Returns the exit code.
    """
    if shortest is not None and not predictor.task.dense:
        raise ConfigError(
            "--shortest is for networks that give each sample its class.",
            received=f"a network for {predictor.task.name}", fix="Leave --shortest out.",
        )  # fmt: skip
    several, failed = len(files) > 1, False
    rows: list[tuple[str, ...]] = []
    if form == "csv":
        write_out(csv_line(["file", "start", "end", *columns(predictor, merge=merge), "error"]))
    for file in files:
        found: Iterator[Any]
        if predictor.task.dense:
            found = predict_events(predictor, file, window, hop, rate=rate, shortest=shortest, merge=merge)
        else:
            found = predict_windows(predictor, file, window, hop, rate=rate, top=top)
            found = merge_windows(found) if merge else found
        for each in found:
            if isinstance(each, WindowFailure):
                failed = True
                note(f"error: {each.error}")
            if form == "json":
                write_out(jsonlib.dumps({"file": str(file), **as_json(each)}, ensure_ascii=False))
            elif form == "csv":
                write_out(csv_row(str(file), each, columns(predictor, merge=merge)))
            elif not isinstance(each, WindowFailure):
                cells = table_row(each)
                rows = rows or [(*(["file"] if several else []), *head(each, cells))]
                rows.append((*([str(file)] if several else []), *cells.values()))
    if rows:
        write_out(table(rows, left=[k for k, name in enumerate(rows[0]) if name not in NUMBERS]))
    return 2 if failed else 0


NUMBERS = frozenset({"start", "end", "start [s]", "end [s]", "probability", "windows"})


def columns(predictor: Predictor, *, merge: bool) -> tuple[str, ...]:
    """The columns of a CSV file, beside the times."""
    if predictor.task.dense:
        return MERGED[:2]
    if not merge:
        return predictor.task.columns
    return MERGED if "class" in predictor.task.columns else ("labels", "windows")


def as_json(each: Any) -> dict[str, Any]:
    if isinstance(each, WindowFailure):
        return {"start": each.span.start, "end": each.span.end, "error": each.error}
    found: dict[str, Any] = each.to_json()
    return found


def head(each: Any, cells: dict[str, str]) -> Iterable[str]:
    unit = " [s]" if each.span.in_seconds else ""
    return (f"{name}{unit}" if name in ("start", "end") else name for name in cells)


def table_row(each: Any) -> dict[str, str]:
    """Column -> text, for a person."""
    digits = 3 if each.span.in_seconds else 0
    times = {"start": f"{each.span.start:.{digits}f}", "end": f"{each.span.end:.{digits}f}"}
    if isinstance(each, WindowPrediction):
        return times | each.prediction.cells()
    if isinstance(each, EventPrediction):
        return times | {"class": each.class_name, "probability": f"{each.probability:.2%}"}
    share = {} if each.probability is None else {"probability": f"{each.probability:.2%}"}
    name = "labels" if each.probability is None else "class"
    return times | {name: ", ".join(each.classes) or "none"} | share | {"windows": f"{each.num_windows:,}"}


def csv_row(file: str, each: Any, names: Sequence[str]) -> str:
    values = as_json(each)
    cells = [cell(values.get(name, "")) for name in names]
    return csv_line([file, f"{each.span.start:.6f}", f"{each.span.end:.6f}", *cells, values.get("error", "")])


def cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6f}"
    return ";".join(map(str, value)) if isinstance(value, list) else value


def csv_line(values: Sequence[object]) -> str:
    buffer = io.StringIO()
    csvlib.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()
