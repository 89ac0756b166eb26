"""Compare test accuracies within minutes on nine sets of images: `neocog train DATA --minutes M`, and its peers.

    python -m venv ~/peers
    ~/peers/bin/pip install torch==2.13.0 torchvision==0.28.0 fastai==2.8.12 keras==3.15.1 scikit-learn==1.9.1 psutil
    ~/peers/bin/pip install --no-deps efficientnet-lite-pytorch==0.1.0
    git worktree add --detach ~/before COMMIT       # `before`: what its `neocog train DATA` does on its own

    NEOCOG_DATA=~/.cache/neocog/datasets python bench/own_images.py --peers ~/peers/bin/python \\
        --weights efficientnet-lite0-57934424.pth --before ~/before --out results.jsonl --minutes 1 3 --seeds 0 1 2
    ... the same with --minutes 10 --seeds 0
    python bench/own_images.py --out results.jsonl --table      # only the table

(The versions are those of the extra `bench`. PyPI's torchvision is built for torch with CUDA and works beside torch for
CPUs as far as fastai needs it; see harness/operators.py.)

Every run is a process of its own, one after the other, with the tools in turn on the same set, minutes and seed.
Its seconds run from its start to its end, and its memory is the peak of all its processes together (proportional set
size, so that shared pages count once, sampled each half second). Neocog starts in an empty folder without cached
measurements. A run that takes more than three times its minutes, and two minutes more, is ended, and counts as failed.
A line of JSON is appended to --out after each run, with the machine's load before it and during it; runs that are there
already are skipped, unless they failed, so a comparison can be interrupted and resumed. A run's files and
its log stay below --work.

    neocog        `neocog train DATA --minutes M` of this Python environment. Its figure is the one with
                  test-time augmentation if it chose that.
    before        `neocog train DATA` of --before. Its time doesn't depend on the minutes, so it runs once per seed.
    keras, fastai, fastai-lite0, sklearn    see own_images_peers.py; the sets, see own_images_sets.py

Peers are told which sets they must not mirror (digits, letters), as a user would tell them.

The table has the mean accuracy over seeds, its 95% Wilson interval for the number of test images, and the mean of
seconds and memory. `<` marks Neocog where the best peer is significantly better: where the difference of the means is
more than 1.96 standard errors of a difference between two shares of that many images. The interval ignores that both
saw the same test images, and is wider than a paired one.
"""

import argparse
import itertools
import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import psutil

from neocog.evaluation import wilson
from own_images_sets import SETS, build

TOOLS = ("neocog", "before", "keras", "fastai", "fastai-lite0", "sklearn")
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that are the same for all runs."""

    data: Path
    work: Path
    peers: Path
    weights: Path | None
    before: Path | None


class Case(NamedTuple):
    """A run that is asked for. `minutes` is 0 for a tool that takes its own time."""

    data: str
    minutes: float
    seed: int
    tool: str


class Ended(NamedTuple):
    """A process that has ended; `status` is None if it was ended for its time."""

    status: int | None
    seconds: float
    peak_mb: float
    busy: float
    """Mean utilisation of the cores by all processes together, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A line of the results."""

    data: str
    minutes: float
    seed: int
    tool: str
    hits: int | None
    """Test images that were classified correctly; None if the run failed."""
    count: int | None
    without_tta: int | None
    seconds: float
    peak_mb: float
    note: str
    load: float
    """Processes that wanted a core in the minute before it began."""
    busy: float
    when: str
    machine: str

    @property
    def case(self) -> Case:
        return Case(self.data, self.minutes, self.seed, self.tool)


class Score(NamedTuple):
    """The outcome of a run: correct test images of `num`; the same without test-time augmentation, if used."""

    hits: int
    num: int
    without_tta: int | None
    note: str


def main() -> None:
    given = parse_arguments()
    results = read_results(given.out)
    if not given.table:
        settings = Settings(
            Path(os.environ.get("NEOCOG_DATA", Path.home() / ".cache/neocog/datasets")),
            given.work.resolve(), given.peers, given.weights and given.weights.resolve(),
            given.before and given.before.resolve(),
        )  # fmt: skip
        done = {result.case for result in results if result.hits is not None}
        for case in cases(given.sets, given.minutes, given.seeds, given.tools):
            if case not in done:
                result = run(case, settings)
                with given.out.open("a") as out:
                    out.write(json.dumps(asdict(result)) + "\n")
                print(line_of([result]), flush=True)
                results.append(result)
    show_table(result for result in results if result.data in given.sets)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON lines; those of earlier runs are kept")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--work", type=Path, default=Path("own-images"), help="sets that are made, logs, run folders")
    parser.add_argument("--peers", type=Path, default=Path(sys.executable), help="the Python that has the peers")
    parser.add_argument("--weights", type=Path, help="EfficientNet-Lite0's file, for fastai-lite0")
    parser.add_argument("--before", type=Path, help="a checkout of the Neocog to compare with")
    parser.add_argument("--table", action="store_true", help="run nothing, only print the table")
    given = parser.parse_args()
    for tool, name in (("before", "before"), ("fastai-lite0", "weights")):
        if tool in given.tools and getattr(given, name) is None and not given.table:
            parser.error(f"{tool} needs --{name}. Give it, or leave {tool} out with --tools.")
    return given


def cases(sets: Iterable[str], minutes: Iterable[float], seeds: Iterable[int], tools: Iterable[str]) -> list[Case]:
    """All runs in the order in which they are made; the tools take turns."""
    found = (
        Case(data, 0.0 if tool == "before" else number, seed, tool)
        for data, number, seed, tool in itertools.product(sets, minutes, seeds, tools)
    )
    return list(dict.fromkeys(found))


def run(case: Case, settings: Settings) -> Result:
    """Make the set, run the tool on it in an empty folder, and read its score."""
    source = build(case.data, settings.data, settings.work).resolve()
    folder = settings.work / "runs" / "-".join(map(str, (case.data, f"{case.minutes:g}", case.seed, case.tool)))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command, environment = command_of(case, source, settings)
    load = os.getloadavg()[0]
    limit = 60 * (3 * case.minutes + 2) if case.minutes else 3600.0
    ended = measure(command, {**environment, "NEOCOG_CACHE": str(folder / "cache")}, folder, limit)
    score, note = None, "ended: too slow" if ended.status is None else f"failed, see {folder / 'log.txt'}"
    if ended.status == 0:
        score = read_neocog(folder) if case.tool in ("neocog", "before") else read_peer(folder)
    return Result(
        data=case.data, minutes=case.minutes, seed=case.seed, tool=case.tool,
        hits=score.hits if score else None, count=score.num if score else None,
        without_tta=score.without_tta if score else None, note=score.note if score else note,
        seconds=round(ended.seconds, 1), peak_mb=round(ended.peak_mb), load=round(load, 2), busy=round(ended.busy, 2),
        when=time.strftime("%Y-%m-%d %H:%M:%S"), machine=f"{processor()}, {os.cpu_count()} cores",
    )  # fmt: skip


def command_of(case: Case, source: Path, settings: Settings) -> tuple[list[str], dict[str, str]]:
    """The command line of a run, and its environment."""
    environment = dict(os.environ)
    if case.tool in ("neocog", "before"):
        command = [sys.executable, "-m", "neocog", "train", str(source), "--train.seed", str(case.seed)]
        if case.tool == "neocog":
            return [*command, "--minutes", f"{case.minutes:g}"], environment
        assert settings.before is not None
        return command, {**environment, "PYTHONPATH": str(settings.before / "src")}
    command = [str(settings.peers), str(HERE / "own_images_peers.py"), case.tool, str(source)]
    command += ["--minutes", f"{case.minutes:g}", "--seed", str(case.seed)]
    if not SETS[case.data].mirrored:
        command += ["--no-mirror"]
    if case.tool == "fastai-lite0":
        command += ["--weights", str(settings.weights)]
    return command, environment


def measure(command: list[str], environment: dict[str, str], folder: Path, limit: float) -> Ended:
    """Run a process to its end or the limit in seconds; its output goes to log.txt of the folder."""
    most, done = [0.0], threading.Event()
    psutil.cpu_percent()
    with (folder / "log.txt").open("w") as log:
        log.write(" ".join(command) + "\n")
        log.flush()
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )

        def sample_memory() -> None:
            while not done.wait(0.5):
                most[0] = max(most[0], held(process.pid))

        sampler = threading.Thread(target=sample_memory, daemon=True)
        sampler.start()
        status: int | None = None
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with its workers; its group is its own
                process.wait()
            seconds = time.perf_counter() - began
            done.set()
            sampler.join()
    return Ended(status, seconds, most[0] / 1e6, psutil.cpu_percent() / 100)


def held(pid: int) -> float:
    """Bytes of memory that a process and its children use."""
    total = 0.0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0.0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it has just ended
            continue
    return total


def read_neocog(folder: Path) -> Score | None:
    """The figures of the run folder, and the accuracy with test-time augmentation from the log."""
    files = sorted((folder / "runs").glob("*/evaluation.json"), key=lambda path: path.stat().st_mtime)
    if not files:
        return None
    figures = json.loads(files[-1].read_text())
    count, plain = figures["count"], round(figures["top1"]["value"] * figures["count"])
    log = (folder / "log.txt").read_text()
    averaged = re.findall(r"^test accuracy ([\d.]+)% with test-time augmentation", log, re.MULTILINE)
    network = re.search(r"^(\S+): [\d,]+ trainable parameters", log, re.MULTILINE)
    note = network[1] if network else files[-1].parent.name
    if not averaged:
        return Score(plain, count, None, note)
    return Score(round(float(averaged[-1]) / 100 * count), count, plain, f"{note}, TTA")


def read_peer(folder: Path) -> Score | None:
    """The last line that a peer printed."""
    last = (folder / "log.txt").read_text().strip().splitlines()[-1]
    try:
        found: dict[str, Any] = json.loads(last)
    except json.JSONDecodeError:
        return None
    return Score(found["hits"], found["count"], None, found["note"])


def read_results(path: Path) -> list[Result]:
    if not path.exists():
        return []
    return [Result(**json.loads(line)) for line in path.read_text().splitlines() if line.strip()]


def show_table(results: Iterable[Result]) -> None:
    """Print a row for each set, budget and tool; `before` is in each budget."""
    results = list(results)
    budgets = sorted({result.minutes for result in results if result.minutes}) or [0.0]
    for data in dict.fromkeys(result.data for result in results):
        for minutes in budgets:
            rows = {
                tool: [
                    result
                    for result in results
                    if (result.data, result.tool) == (data, tool) and result.minutes in (0.0, minutes)
                    and result.hits is not None
                ]
                for tool in TOOLS
            }  # fmt: skip
            rows = {tool: found for tool, found in rows.items() if found}
            if set(rows) <= {"before"} and minutes != budgets[0]:
                continue
            print(f"\n{data}, {minutes:g} min")
            for tool, found in rows.items():
                mark = " <" if tool == "neocog" and is_below(found, rows) else ""
                print(f"  {line_of(found)}{mark}")


def line_of(found: list[Result]) -> str:
    """A row of the table: the mean over runs that differ only in their seed."""
    first = found[0]
    if first.hits is None:
        return f"{first.data:<13}{first.minutes:>4g} min  seed {first.seed}  {first.tool:<13}{first.note}"
    share, count = share_of(found), first.count or 1
    interval = wilson(round(share * count), count)
    plain = [result.without_tta / count for result in found if result.without_tta is not None]
    without = f"; {mean(plain):.2%} without TTA" if plain else ""
    return (
        f"{first.tool:<13}{share:>7.2%}  {interval.low:.1%} to {interval.high:.1%}  "
        f"{mean(result.seconds for result in found):>6.0f} s  {mean(result.peak_mb for result in found):>6,.0f} MB  "
        f"{len(found)} seed{'s' if len(found) > 1 else ' '}  {first.note}{without}"
    )


def share_of(found: list[Result]) -> float:
    return mean((result.hits or 0) / (result.count or 1) for result in found)


def is_below(found: list[Result], rows: dict[str, list[Result]]) -> bool:
    """Whether another tool is significantly better."""
    ours, count = share_of(found), found[0].count or 1
    best = max((share_of(other) for tool, other in rows.items() if tool != "neocog"), default=0.0)
    error = math.sqrt((ours * (1 - ours) + best * (1 - best)) / count)
    return best - ours > 1.96 * error


def processor() -> str:
    """The name of the processor."""
    path = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.*)$", path.read_text(), re.MULTILINE) if path.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
