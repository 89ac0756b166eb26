"""Scoring runs in forked processes, killed at chosen moments; prints what came of them as JSON.

    python -m tests.offline.forked FOLDER EVERY

FOLDER holds model.neocog and images/. One process loads torch, and each run is a fork of it. A run is killed with
SIGKILL at its n-th change of the disk, for every EVERY-th n, and then given again.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet  # noqa: F401 (imported before the forks, each of which would do so)

import neocog.offline.run as run
from neocog.bundle import load
from neocog.progress import quiet

CHANGES = ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir")
BLOCK = 5


def fork(work: Callable[[], object]) -> int:
    """Start the work in a fork, whose exit code is 0 if it ends without an error."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with quiet():
            work()
        code = 0
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """The exit code of a fork, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(count: int) -> None:
    """Kill this process before its change of the disk with this number."""
    left = [count]

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*args, **options)

        return changed

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))


class Runs:
    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out" / "p.parquet"
        predictor = load(folder / "model.neocog")
        run.load = lambda path, backend: predictor  # type: ignore[assignment]

    def predict(self, kill: int = 0, note: Path | None = None) -> None:
        if kill:
            kill_at(kill)
        result = run.predict_files(self.folder / "model.neocog", self.folder / "images", self.out, block=BLOCK)
        if note is not None:
            note.write_text(str(result.computed))

    def clear(self) -> None:
        shutil.rmtree(self.out.parent, ignore_errors=True)

    def content(self) -> bytes:
        return self.out.read_bytes()

    def left_over(self) -> list[str]:
        names = {self.out.name, self.out.name + ".json"}
        return sorted(path.name for path in self.out.parent.iterdir() if path.name not in names)


def killed_runs(runs: Runs, every: int) -> dict[str, Any]:
    """Runs that are killed at each `every`-th change, and given again: those that did not end as they should."""
    assert ended(fork(runs.predict)) == 0
    whole, wrong, kill, kills = runs.content(), [], 1, 0
    while True:
        runs.clear()
        code = ended(fork(lambda n=kill: runs.predict(n)))  # type: ignore[misc]
        if code == 0:
            return {"kills": kills, "changes": kill, "wrong": wrong}
        kills += 1
        again = ended(fork(runs.predict))
        if code != -signal.SIGKILL or again != 0 or runs.content() != whole or runs.left_over():
            wrong.append([kill, code, again, runs.left_over()])
        kill += every


def shared_runs(runs: Runs, num: int, kill: int = 0) -> dict[str, Any]:
    """Several processes at once, the first of which is killed if `kill` is not 0."""
    runs.clear()
    assert ended(fork(runs.predict)) == 0
    whole = runs.content()
    runs.clear()
    notes = [runs.folder / f"computed-{i}" for i in range(num)]
    children = [fork(lambda n=note, k=kill * (i == 0): runs.predict(k, n)) for i, note in enumerate(notes)]  # type: ignore[misc]
    codes = list(map(ended, children))
    computed = [int(note.read_text()) for note, code in zip(notes, codes, strict=True) if code == 0]
    for note in notes:
        note.unlink(missing_ok=True)
    return {"codes": codes, "computed": computed, "same": runs.content() == whole, "left": runs.left_over()}


def main() -> None:
    runs, every = Runs(Path(sys.argv[1])), int(sys.argv[2])
    print(json.dumps({
        "killed": killed_runs(runs, every),
        "three": shared_runs(runs, 3),
        "three, one killed": shared_runs(runs, 3, kill=30),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
