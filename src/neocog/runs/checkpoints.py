"""The checkpoints of a run, written while it trains: checkpoints, results, events.

`last` is the newest, `step-00001200` and the like are the ones before it, and `best` is separate. At every moment one
of them is complete: `last` is replaced in one step by a file that is already on the disk, and by then its previous
content has a second name.
"""

import math
import os
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import torch

from neocog.errors import CheckpointError, StorageError
from neocog.files import storage_errors, whole_file
from neocog.files.whole import FULL
from neocog.progress import note
from neocog.runs.folder import Run
from neocog.training import Interrupted, TrainConfig, Training
from neocog.training.async_saving import Background, Buffers
from neocog.training.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    make_checkpoint,
    read_checkpoint,
    read_state,
    restore_checkpoint,
    stream_checkpoint,
)

__all__ = ["RunCheckpointer", "find_newest_whole", "list_earlier", "list_newest_first", "write_last"]


class RunCheckpointer:
    """Writes `last` when it is due and at the end of epochs, `best` when an epoch is the best so far.

    Training waits only while its state is copied; a thread writes the copy. Its errors are raised at the next save, or
    at the end of this block:

        with checkpointer:
            fit(..., checkpointer=checkpointer)

    Checkpoints of an extended run may also have `earlier_settings`. With `on_full="continue"` a full
    disk is noted at each save, and training continues. `about` is written with each checkpoint and may be added to.
    `metric` is the one that the history follows beside the loss. Only one of several processes writes.
    """

    def __init__(
        self,
        run: Run,
        config: TrainConfig,
        *,
        data: str,
        settings: str,
        earlier_settings: Collection[str] = (),
        epoch_steps: int = 0,
        keep: int = 2,
        on_full: Literal["stop", "continue"] = "stop",
        metric: str = "accuracy",
        percent: bool = True,
        writes: bool = True,
    ) -> None:
        self.run, self.config = run, config
        self.keep, self.on_full, self.writes = keep, on_full, writes
        self.metric, self.percent = metric, percent
        self.about: dict[str, Any] = {"data": data, "settings": settings, "threads": torch.get_num_threads()}
        self.about |= {"epoch_steps": epoch_steps} if epoch_steps else {}
        self.accepted = {settings, *earlier_settings}
        self.saved_at = time.monotonic()
        self.buffers, self.background = Buffers(), Background()
        self.pending_best: Checkpoint | None = None
        """The best weights, until they are on the disk."""

    def due(self, step: int) -> bool:
        every, seconds = self.config.checkpoint_steps, self.config.checkpoint_seconds
        if every and step % every == 0:
            return True
        # Training must not wait for a disk that is slower than checkpoints fall due.
        return bool(seconds) and time.monotonic() - self.saved_at >= seconds and not self.background.busy

    def save(self, training: Training) -> None:
        """Copy the state and have it written. Raises StorageError if an earlier one could not be written."""
        self.hand_over(training, best=False)

    def start_done(self, training: Training) -> None:
        """Have the network written as it is before the first step, the best so far, and print its figures."""
        start = training.state.start or {}
        self.hand_over(training, best=True, then=lambda: self.run.log("start validated", **start))
        if self.writes:
            value = format(start[f"val_{self.metric}"], ".2%" if self.percent else ".4f")
            note(f"before training  val loss {start['val_loss']:.4f}  val {self.metric} {value}  *")

    def epoch_done(self, training: Training, *, best: bool) -> None:
        """Have checkpoints, results and the log written, and print the figures of the epoch."""
        row = training.state.history[-1]
        history = list(training.state.history)
        stopped_early = training.state.stopped_early

        def record() -> None:
            self.run.write_results(history)
            self.run.log("epoch", best=best, **row)
            if stopped_early:
                self.run.log("stopped early", patience=self.config.patience)

        self.hand_over(training, best=best, then=record)
        if not self.writes:
            return
        star = "  *" if best else ""
        epochs = training.state.num_epochs(self.config.epochs, self.about.get("epoch_steps", 1))
        speed = f"{row['samples_per_second']:>7,.0f}/s  {row['seconds']:.1f} s"
        train, val = (
            format(row[f"{part}_{self.metric}"], ".2%" if self.percent else ".4f") for part in ("train", "val")
        )
        note(
            f"epoch {row['epoch']:>3.0f}/{epochs}  loss {row['train_loss']:.4f}  {self.metric} {train}  "
            f"val loss {row['val_loss']:.4f}  val {self.metric} {val}  {speed}{star}"
        )
        if stopped_early:
            note(f"No improvement for {self.config.patience} epochs: stopped early.")

    def hand_over(self, training: Training, *, best: bool, then: Callable[[], None] = lambda: None) -> None:
        """Copy the state for the writer, once it is free."""
        self.saved_at = time.monotonic()
        if not self.writes:
            return
        self.wait_for_writer()
        if self.pending_best is not None:  # not written yet; its memory must not be overwritten
            self.buffers = Buffers()
        now = make_checkpoint(training, self.about)
        snapshot = Checkpoint(self.buffers.hold(now.tensors), now.state, now.about)
        if best:
            self.pending_best = snapshot
        self.background.start(lambda: self.write(snapshot, then))

    def write(self, snapshot: Checkpoint, then: Callable[[], None]) -> None:
        # `best` first: else a kill between the two would leave a `last` that refers to a missing best.
        if self.pending_best is not None:
            with whole_file(self.run.best) as file:
                stream_checkpoint(file, self.pending_best)
            self.pending_best = None
        write_last(self.run, snapshot, self.keep)
        then()

    def wait_for_writer(self) -> None:
        """Wait for the writer. Raises its error, except for a full disk if training is to continue."""
        try:
            self.background.wait()
        except StorageError as error:
            if self.on_full == "stop" or not is_full(error):
                raise
            note(f"{error} Training continues without this checkpoint, as train.on_full is continue.")

    def close(self) -> None:
        """Wait until all is written. Raises StorageError as `save` does."""
        self.wait_for_writer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.close()
            return
        try:
            self.background.wait()
        except StorageError as failure:
            if isinstance(error, Interrupted):  # its message says that the state is saved
                raise
            note(str(failure))

    def restore(self, training: Training) -> dict[str, Any] | None:
        """Restore the newest complete checkpoint; returns the facts written with it, None if there is none.

        Raises CheckpointError if all are damaged, it belongs to another network, or the data has changed since.
        """
        newest = find_newest_whole(self.run, put_away=self.writes)
        if newest is None:
            return None
        path, found = newest
        restore_checkpoint(found, training, path)
        self.check_about(found.about)
        if training.state.best_epoch >= 0 or training.state.start is not None:
            self.read_best(training.state.best_epoch)  # now rather than after all further training
        return found.about

    def check_about(self, about: dict[str, Any]) -> None:
        """Raises CheckpointError if a checkpoint was written with other settings or data."""
        if about["settings"] not in self.accepted:
            raise CheckpointError(
                f"A run resumes with the settings it began with. {self.run.config} was changed since.",
                fix=f"Change it back, or start a new run with it: neocog train --config {self.run.config}",
            )
        if about["data"] != self.about["data"]:
            raise CheckpointError(
                f"A run resumes with the data it began with. {self.run.path} began with other samples or labels.",
                received=f"data {self.about['data']} instead of {about['data']}",
                fix="Restore the data, or start a new run.",
            )
        if about["threads"] != self.about["threads"]:
            note(
                f"This run began with {about['threads']} threads and resumes with {self.about['threads']}: sums are "
                "computed in another order, so the weights may differ in their last bits."
            )

    def read_best(self, epoch: int) -> Checkpoint:
        """The best weights so far. Raises CheckpointError if they are lost, or those of another epoch."""
        cause = None
        try:
            found = read_checkpoint(self.run.best)
            if found.state["best_epoch"] == epoch:
                return found
            verdict = f"holds those of epoch {found.state['best_epoch'] + 1}"
        except CheckpointError as error:
            verdict, cause = "is missing or damaged", error
        those = f"those of epoch {epoch + 1}" if epoch >= 0 else "those from before training"
        raise CheckpointError(
            f"The best weights so far, {those}, are lost: {self.run.best} {verdict}.",
            fix=f"Remove {self.run.best.parent}; --resume then trains this run again from the start.",
        ) from cause

    def restore_best(self, training: Training) -> None:
        """Restore the weights of the best epoch, and leave the state as it is."""
        self.close()
        state = training.state
        best = self.pending_best or self.read_best(state.best_epoch)
        restore_checkpoint(best, training, self.run.best)
        training.state = state


def is_full(error: StorageError) -> bool:
    """Whether a file could not be written because the disk was full."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL


def write_last(run: Run, checkpoint: Checkpoint, keep: int) -> None:
    """Make this the newest checkpoint, and keep this many in all. Raises StorageError, with `last` as it was."""
    with whole_file(run.last) as file:
        stream_checkpoint(file, checkpoint)
        if keep > 1 and run.last.exists():
            set_aside(run.last)
    for path in list_earlier(run)[keep - 1 :]:
        with storage_errors(path):
            path.unlink()


def set_aside(last: Path) -> None:
    """Give the newest checkpoint the name of its step as well."""
    try:
        step = read_state(last)["step"]
    except DamagedCheckpointError as error:
        note(f"{last} {error.verdict}. It is kept as {rename_damaged(last).name}.")
        return
    aside = last.with_name(f"step-{step:08}.safetensors")
    aside.unlink(missing_ok=True)  # of the same step, but from before its validation
    try:
        os.link(last, aside)
    except OSError:  # a file system without links; `aside` is then the newest for a moment, between two renamings
        last.replace(aside)


def list_earlier(run: Run) -> list[Path]:
    """The checkpoints before `last`, newest first."""
    return sorted(run.last.parent.glob("step-*.safetensors"), key=lambda path: step_in_name(path), reverse=True)


def step_in_name(path: Path) -> int:
    """
    >>> step_in_name(Path("step-00000012.safetensors"))
    12
    """
    digits = path.stem.removeprefix("step-")
    return int(digits) if digits.isdecimal() else -1


def find_newest_whole(run: Run, *, put_away: bool = True) -> tuple[Path, Checkpoint] | None:
    """The newest complete checkpoint, or None if there is none at all.

    Newer ones that are damaged are noted and renamed with `put_away`, so that they are not mistaken for complete ones
    later. Raises CheckpointError if all are damaged; they then keep their names.
    """
    damaged: list[DamagedCheckpointError] = []
    for path in list_newest_first(run):
        try:
            found = read_checkpoint(path)
        except DamagedCheckpointError as error:
            damaged.append(error)
            continue
        except CheckpointError:
            if path.exists():
                raise
            continue  # another process of this run has just renamed it
        if put_away:
            for bad in damaged:
                aside = rename_damaged(bad.path)
                note(
                    f"{bad.path} {bad.verdict}. It is kept as {aside.name}. "
                    f"The run resumes from {path.name}, after step {found.state['step']:,}."
                )
        return path, found
    if not damaged:
        return None
    raise CheckpointError(
        f"A run resumes from a complete checkpoint. All of {run.path} are damaged: "
        f"{'; '.join(f'{bad.path.name} {bad.verdict}' for bad in damaged)}.",
        fix=f"Remove {run.last.parent}; --resume then trains this run again from the start.",
    )


def list_newest_first(run: Run) -> list[Path]:
    """All checkpoints by the step in their headers, or the one in their names if the header can't be read."""
    ages: dict[Path, tuple[float, int]] = {}
    # Of two that are equally new, the first of this list comes first.
    for path, by_name in [
        (run.last, math.inf),
        *((path, step_in_name(path)) for path in list_earlier(run)),
        (run.best, -1),
    ]:
        if path.exists():
            try:
                state = read_state(path)
                ages[path] = (state["step"], len(state["history"]))
            except (CheckpointError, KeyError, TypeError):
                ages[path] = (by_name, 0)
    return sorted(ages, key=lambda path: ages[path], reverse=True)


def rename_damaged(path: Path) -> Path:
    """Rename a damaged checkpoint to a free name that no checkpoint has."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    with storage_errors(path):
        path.replace(aside)
    return aside
