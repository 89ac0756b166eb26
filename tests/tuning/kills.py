"""A study in a process of its own, killed after some of the files that it writes, and resumed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from neocog.tuning import open_study

KILLING = """
import os, signal, sys

left = int(sys.argv[1])
def count(before):
    def write(*given, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*given, **named)
    return write
os.replace = count(os.replace)
from neocog.cli import main
sys.exit(main(sys.argv[2:]))
"""


def run_killed(after: int, *arguments: object) -> int:
    """Run the program, which kills itself instead of writing file number `after`; returns its exit code."""
    command = [sys.executable, "-c", KILLING, str(after), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def kill_often(folder: Path, data: Path, kills: int, after: int, *flags: object) -> tuple[object, int]:
    """The study in `folder`, killed this many times, each time some files later, then finished."""
    studies = ("--studies", folder.parent)
    code = run_killed(after + 12, "tune", data, "--name", folder.name, *studies, *flags)
    killed = int(code == -signal.SIGKILL)
    while killed < kills:
        code = run_killed(after + killed % 7, "tune", "--resume", folder)
        if code != -signal.SIGKILL:
            break
        killed += 1
    if code == -signal.SIGKILL:
        assert run_killed(-1, "tune", "--resume", folder) == 0
    return open_study(folder), killed


def same(trial) -> tuple[object, ...]:
    """What is equal in two studies of which one was killed: all but times."""
    return trial.number, dict(trial.params), trial.outcome, trial.value, trial.history, trial.best_epoch, trial.size
