"""Measure Neocog beside its peers: `make bench`, or one row with `make bench-one NAME=loader-shift`.

    python bench/run.py                        # in less than 40 minutes, with nothing else on the machine
    python bench/run.py loader-shift decode    # rows whose names begin so
    python bench/run.py --list                 # what there is
    python bench/run.py --quick plan           # one turn each: does it work? No intervals, no winners
    python bench/run.py --publish              # also into docs/bench, which the documentation includes

Each row runs in a process of its own. Its sides take turns, at least ten times each after one that doesn't count; the
table has medians with 95% intervals, and ratios of the turns of the same round. Rows in which a peer is better are
marked. The program warns if the machine is not idle.

Each row is written at once to OUT/NAME.json; bench/harness/results.py describes it. After Ctrl-C the same command
resumes where it was: rows that OUT holds are kept, from whatever commit (the JSON and the table name it), unless they
have fewer turns than are asked now. --again measures them again. A row that fails leaves what it said in
OUT/logs/NAME.log, and the others are measured all the same.

The peers are those of `pip install ".[bench]"`; one that is not installed is left out, and the table says so.
Exit code: 0; 1 if a row failed; 130 after Ctrl-C.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.drawing import draw
from harness.machine import BUSY, STOLEN, Meter, commit
from harness.measure import measure
from harness.results import Result, read, write
from harness.row import Row
from harness.supervise import last_lines, run_child
from harness.table import in_words, markdown
from harness.turns import ENOUGH
from rows import ASIDE, ROWS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/bench"
LIMIT = 600.0  # seconds of a row, after which it is ended
WATCH = 0.5  # seconds before a row, in which the machine should be idle
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    repeats, warmup = (1, 0) if given.quick else (given.turns, None)
    if given.child:
        row = next(row for row in ROWS if row.name == given.child)
        with tempfile.TemporaryDirectory(dir=given.out) as folder:
            write(given.out / f"{row.name}.json", measure(row, Path(folder), repeats=repeats, warmup=warmup))
        return 0
    chosen = choose(given.names, everything=given.all or given.list)
    if given.list:
        print("\n".join(f"{row.name:<28}{row.what}" for row in chosen))
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, interrupt)
    bench = Bench(given.out, repeats, warmup, again=given.again)
    code = bench.run(chosen)
    write_summary(given.out, publish=given.publish)
    return code


def parser() -> argparse.ArgumentParser:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("names", nargs="*", metavar="NAME", help="the beginning of rows' names; all rows without")
    asked.add_argument("--all", action="store_true", help="measure every row, in about an hour")
    asked.add_argument("--list", action="store_true", help="list the rows, and measure nothing")
    asked.add_argument("--out", type=Path, default=ROOT / "build/bench", help="folder of JSON, table and plot")
    asked.add_argument("--again", action="store_true", help="measure rows that OUT holds already, too")
    asked.add_argument("--turns", type=positive, help="turns of each side, instead of each row's own number")
    asked.add_argument("--quick", action="store_true", help="one turn of each side, without one that doesn't count")
    asked.add_argument("--publish", action="store_true", help="write table, plot and JSON into docs/bench, too")
    asked.add_argument("--child", help=argparse.SUPPRESS)
    return asked


def positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} turns: at least 1 is needed")
    return int(text)


def choose(names: Sequence[str], rows: Sequence[Row] = ROWS, *, everything: bool = False) -> list[Row]:
    """The rows whose names begin with one of these; without names those that fit into forty minutes, or all."""
    unknown = [name for name in names if not any(row.name.startswith(name) for row in rows)]
    if unknown:
        raise SystemExit(f"No row begins with {', '.join(unknown)}; python bench/run.py --list shows the rows.")
    if not names:
        return [row for row in rows if everything or row.name not in ASIDE]
    return [row for row in rows if any(row.name.startswith(name) for name in names)]


def interrupt(number: int, frame: FrameType | None) -> None:
    """End as with Ctrl-C."""
    raise KeyboardInterrupt


class Bench:
    """Rows are measured one after the other, each in a process of its own, into a folder."""

    def __init__(self, out: Path, repeats: int | None, warmup: int | None, *, again: bool) -> None:
        self.out, self.repeats, self.warmup, self.again = out, repeats, warmup, again
        columns = TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn()
        self.progress = Progress(*columns, TextColumn("{task.fields[left]}"))
        self.clock = Clock([*published(), *read(out, ROWS)], quick=repeats is not None)

    def run(self, chosen: Sequence[Row]) -> int:
        """Measure what is not there yet; returns the exit code."""
        wanted = [row for row in chosen if self.again or not self.kept(row)]
        self.say_kept([row for row in chosen if row not in wanted])
        failed: list[str] = []
        try:
            with self.progress:
                task = self.progress.add_task("", total=len(wanted), left="")
                for number, row in enumerate(wanted):
                    left = self.clock.left(wanted[number:])
                    self.progress.update(task, description=f"{row.name:<24}", left=left)
                    failed += [] if self.run_row(row) else [row.name]
                    self.progress.advance(task)
                self.progress.update(task, description="", left="")
        except KeyboardInterrupt:
            print("Stopped. What is measured is kept; the same command (without --again) measures the rest.")
            return INTERRUPTED
        if failed:
            print(f"{len(failed)} of {len(wanted)} rows failed: {', '.join(failed)}")
        return 1 if failed else 0

    def kept(self, row: Row) -> bool:
        """Whether the folder holds this row with enough turns."""
        found = read(self.out, [row])
        return bool(found) and len(next(iter(found[0]["turns"].values()))) >= (self.repeats or row.repeats)

    def say_kept(self, kept: Sequence[Row]) -> None:
        if kept:
            commits = sorted({result["commit"] for result in read(self.out, kept)})
            here = " (this one)" if commits == [commit()] else ""
            print(f"{len(kept)} rows are there already, from commit {', '.join(commits)}{here}; --again repeats them.")

    def run_row(self, row: Row) -> bool:
        """Measure a row, and say what it found; returns whether it did."""
        began = time.perf_counter()
        meter = Meter(WATCH)
        if meter.busy_before > BUSY:
            self.say(f"[yellow]{row.name}: the machine is not idle: {meter.busy_before:.0%} of it is busy[/]")
        log = self.out / "logs" / f"{row.name}.log"
        with tempfile.TemporaryDirectory(dir=self.out, prefix=".row-") as folder:
            reason = run_child(self.command(row, Path(folder).resolve()), log, LIMIT)
            if reason:
                self.say(f"[red]{row.name} failed[/]: {escape(reason)}")
                self.say("\n".join(f"    {escape(line)}" for line in last_lines(log, 6)) + f"\n    {log}")
                return False
            result = json.loads((Path(folder) / f"{row.name}.json").read_text()) | {"conditions": meter.read()}
        write(self.out / f"{row.name}.json", result)
        self.clock.note(row, time.perf_counter() - began)
        self.say(f"{row.name} [dim]({result['seconds']:.0f} s)[/]: {escape(in_words(result))}")
        if result["conditions"]["stolen"] > STOLEN:
            self.say(f"[yellow]    {result['conditions']['stolen']:.0%} of the processors were given to others[/]")
        return True

    def command(self, row: Row, folder: Path) -> list[str]:
        """The command that measures a row and writes its JSON into a folder."""
        turns = ["--quick"] if self.warmup == 0 else ["--turns", str(self.repeats)] if self.repeats else []
        return [sys.executable, __file__, "--child", row.name, "--out", str(folder), *turns]

    def say(self, text: str) -> None:
        self.progress.console.print(text, highlight=False, soft_wrap=True)


class Clock:
    """How long rows took before, and how long the others will take."""

    def __init__(self, earlier: Sequence[Result], *, quick: bool) -> None:
        whole = [] if quick else [each for each in earlier if len(next(iter(each["turns"].values()))) >= ENOUGH]
        self.known = {result["name"]: float(result["seconds"]) for result in whole}
        self.taken: list[float] = []

    def note(self, row: Row, seconds: float) -> None:
        self.known[row.name] = seconds
        self.taken.append(seconds)

    def left(self, rows: Sequence[Row]) -> str:
        """The expected time for rows, of which unknown ones take as long as the others; empty if none is known."""
        some = self.taken or list(self.known.values())
        if not some:
            return ""
        usual = sum(some) / len(some)
        seconds = sum(self.known.get(row.name, usual) for row in rows)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"


def published() -> list[Result]:
    """The results in docs/bench; none if there are none."""
    path = DOCS / "figures.json"
    return list(json.loads(path.read_text())) if path.is_file() else []


def write_summary(out: Path, *, publish: bool) -> None:
    """Write the table and the plot of all rows that were measured."""
    results = read(out, ROWS)
    if not results:
        return
    for place in [out] + ([DOCS] if publish else []):
        place.mkdir(parents=True, exist_ok=True)
        write(place / "figures.json", results)
        (place / "table.md").write_text(markdown(results), encoding="utf-8")
        draw(results, place / "ratios.svg")
        print(f"{len(results)} rows are in {place}: table.md, ratios.svg, figures.json")


if __name__ == "__main__":
    sys.exit(main())
