"""Measure Neocog beside its peers: `make bench`, or one row with `make bench-one NAME=loader-shift`.

    python bench/run.py                        # all rows; less than 40 minutes, with nothing else on the machine
    python bench/run.py loader-shift decode    # rows whose names begin so
    python bench/run.py --list
    python bench/run.py --publish              # also into docs/, where the documentation includes them

Each row runs in a process of its own. Its sides take turns, at least ten times each after one that doesn't count; the
table has medians with 95% intervals, and ratios of the turns of the same round. Rows in which a peer is better are
marked. What is measured is written at once, and a bench that was interrupted goes on where it was: rows that --out
holds already are kept, except with --again.

The peers are those of `pip install ".[bench]"`; one that is not installed is left out, and the table says so.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.drawing import draw
from harness.machine import describe
from harness.row import Row
from harness.table import markdown
from harness.turns import take_turns
from rows import ROWS

ROOT = Path(__file__).parents[1]
LIMIT = 600  # seconds of a row, after which it is ended


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="beginnings of the names of rows; all without")
    parser.add_argument("--list", action="store_true", help="list the rows, and measure nothing")
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench", help="folder for JSON, table and plot")
    parser.add_argument("--again", action="store_true", help="measure rows that --out holds already")
    parser.add_argument("--turns", type=int, help="turns of each side, instead of each row's own number")
    parser.add_argument("--publish", action="store_true", help="write the results into docs/ too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        measure(next(row for row in ROWS if row.name == given.child), given.out, given.turns)
        return 0
    chosen = choose(given.names)
    if given.list:
        for row in chosen:
            print(f"{row.name:<28}{row.what}")
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    failed = run_all(chosen, given)
    write_summary(given.out, publish=given.publish)
    return 1 if failed else 0


def choose(names: list[str]) -> list[Row]:
    """The rows whose names begin with one of these; all without names."""
    unknown = [name for name in names if not any(row.name.startswith(name) for row in ROWS)]
    if unknown:
        raise SystemExit(f"No row begins with {', '.join(unknown)}; python bench/run.py --list shows the rows.")
    return [row for row in ROWS if not names or any(row.name.startswith(name) for name in names)]


def run_all(chosen: list[Row], given: argparse.Namespace) -> list[str]:
    """Measure each row in a process of its own; returns the names of those that failed."""
    failed = []
    columns = TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns) as progress:
        task = progress.add_task("", total=len(chosen))
        for row in chosen:
            progress.update(task, description=row.name)
            if given.again or not (given.out / f"{row.name}.json").is_file():
                reason = run_one(row, given)
                if reason:
                    failed.append(row.name)
                    progress.console.print(f"[red]{row.name}[/]: {reason}", highlight=False)
            progress.advance(task)
    return failed


def run_one(row: Row, given: argparse.Namespace) -> str:
    """Measure a row in a process of its own; returns why it failed, or nothing."""
    command = [sys.executable, __file__, "--child", row.name, "--out", str(given.out.resolve())]
    command += ["--turns", str(given.turns)] if given.turns else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return f"ended after {LIMIT} s"
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no message"])[-1]


def measure(row: Row, out: Path, turns: int | None) -> None:
    """Take the turns of a row, and write its figures."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        os.environ["NEOCOG_CACHE"] = cache  # without measurements of earlier runs
        began = time.perf_counter()
        with contextlib.contextmanager(row.prepare)(Path(folder)) as sides:
            load = os.getloadavg()[0]
            figures = take_turns(sides.turns, repeats=turns or row.repeats, warmup=row.warmup)
            note = sides.note() if callable(sides.note) else sides.note
        found: dict[str, Any] = {
            "name": row.name, "area": row.area, "what": row.what, "unit": row.unit, "better": row.better,
            "target": row.target, "limit": row.limit, "turns": figures.turns, "note": note,
            "absent": sides.absent, "seconds": round(time.perf_counter() - began, 1), "load_before": round(load, 2),
            "machine": describe(),
        }  # fmt: skip
    written = out / f"{row.name}.tmp"
    written.write_text(json.dumps(found, indent=1) + "\n")
    written.replace(out / f"{row.name}.json")


def write_summary(out: Path, *, publish: bool) -> None:
    """Write the table and the plot of all rows that were measured."""
    order = {row.name: number for number, row in enumerate(ROWS)}
    files = [path for path in out.glob("*.json") if path.stem in order]
    results = [json.loads(path.read_text()) for path in sorted(files, key=lambda path: order[path.stem])]
    if not results:
        return
    places = [out] + ([ROOT / "docs/bench"] if publish else [])
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        (place / "figures.json.tmp").write_text(json.dumps(results, indent=1) + "\n")
        (place / "figures.json.tmp").replace(place / "figures.json")
        (place / "table.md").write_text(markdown(results))
        draw(results, place / "ratios.svg")
    print(markdown(results))


if __name__ == "__main__":
    sys.exit(main())
