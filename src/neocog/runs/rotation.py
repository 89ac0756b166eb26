"""The checkpoints of a run: `last` is the newest, `step-00001200` and the like came before it, `best` stands apart.

At every moment there is a whole one: `last` is replaced in one step by a file that is already on the disk, and what it
was before that has by then a second name.
"""

import math
import os
from pathlib import Path

from neocog.errors import CheckpointError
from neocog.files import storage_errors, whole_file
from neocog.progress import note
from neocog.runs.folder import Run
from neocog.training.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    read_checkpoint,
    read_state,
    stream_checkpoint,
)

__all__ = ["earlier", "newest_first", "newest_whole", "write_last"]


def write_last(run: Run, checkpoint: Checkpoint, keep: int) -> None:
    """Make this the newest checkpoint; so many are kept in all. Raises StorageError, with `last` as it was."""
    with whole_file(run.last) as file:
        stream_checkpoint(file, checkpoint)
        if keep > 1 and run.last.exists():
            set_aside(run.last)
    for path in earlier(run)[keep - 1 :]:
        with storage_errors(path):
            path.unlink()


def set_aside(last: Path) -> None:
    """Give the newest checkpoint the name of its step as well."""
    try:
        step = read_state(last)["step"]
    except DamagedCheckpointError as error:
        note(f"{last} {error.verdict}. It is kept as {renamed(last).name}.")
        return
    aside = last.with_name(f"step-{step:08}.safetensors")
    aside.unlink(missing_ok=True)  # of the same step, but from before its validation
    try:
        os.link(last, aside)
    except OSError:  # a file system without links; then `aside` is the newest for the moment between two renamings
        last.replace(aside)


def earlier(run: Run) -> list[Path]:
    """The checkpoints before `last`, the newest first."""
    return sorted(run.last.parent.glob("step-*.safetensors"), key=lambda path: step_in_name(path), reverse=True)


def step_in_name(path: Path) -> int:
    """
    >>> step_in_name(Path("step-00000012.safetensors"))
    12
    """
    digits = path.stem.removeprefix("step-")
    return int(digits) if digits.isdecimal() else -1


def newest_whole(run: Run, *, put_away: bool = True) -> tuple[Path, Checkpoint] | None:
    """The newest checkpoint that is whole, or None where there is none at all.

    Damaged ones that are newer are named to the user and, with `put_away`, renamed, so that they are not taken for
    good later. Raises CheckpointError where all are damaged; they then keep their names.
    """
    damaged: list[DamagedCheckpointError] = []
    for path in newest_first(run):
        try:
            found = read_checkpoint(path)
        except DamagedCheckpointError as error:
            damaged.append(error)
            continue
        except CheckpointError:
            if path.exists():
                raise
            continue  # another process of this run has just put it away
        if put_away:
            for bad in damaged:
                aside = renamed(bad.path)
                note(
                    f"{bad.path} {bad.verdict}. It is kept as {aside.name}. "
                    f"The run goes on from {path.name}, after step {found.state['step']:,}."
                )
        return path, found
    if not damaged:
        return None
    raise CheckpointError(
        f"A run goes on from a whole checkpoint. All of {run.path} are damaged: "
        f"{'; '.join(f'{bad.path.name} {bad.verdict}' for bad in damaged)}. "
        f"Remove {run.last.parent}, and --resume trains this run again from the start."
    )


def newest_first(run: Run) -> list[Path]:
    """All checkpoints by the step in their headers, and by the step in their names where the header can't be read."""
    ages: dict[Path, tuple[float, int]] = {}
    # Of two that are equally new the first of this list is taken.
    for path, by_name in [(run.last, math.inf), *((path, step_in_name(path)) for path in earlier(run)), (run.best, -1)]:
        if path.exists():
            try:
                state = read_state(path)
                ages[path] = (state["step"], len(state["history"]))
            except (CheckpointError, KeyError, TypeError):
                ages[path] = (by_name, 0)
    return sorted(ages, key=lambda path: ages[path], reverse=True)


def renamed(path: Path) -> Path:
    """Rename a damaged checkpoint to a free name that is no checkpoint's."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    with storage_errors(path):
        path.replace(aside)
    return aside
