"""Keeping a run safe while it trains: checkpoints, results, events."""

import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, Literal, Self

import torch

from neocog.errors import CheckpointError, StorageError
from neocog.files import whole_file
from neocog.files.whole import FULL
from neocog.progress import note
from neocog.runs.folder import Run
from neocog.runs.rotation import newest_whole, write_last
from neocog.training import Interrupted, TrainConfig, Training
from neocog.training.async_saving import Background, Buffers
from neocog.training.checkpoint import (
    Checkpoint,
    checkpoint_of,
    read_checkpoint,
    restore_checkpoint,
    stream_checkpoint,
)

__all__ = ["RunKeeper"]


class RunKeeper:
    """Writes `last` when it is due and at the end of epochs, `best` when an epoch is the best so far.

    Training waits only while its state is copied; a thread writes the copy. What goes wrong there is raised at the
    next save, or when the block that the keeper guards ends:

        with keeper:
            fit(..., keeper=keeper)

    `earlier_settings` are those that checkpoints of a run that is extended may have too. With `on_full="go_on"` a full
    disk is told to the user for each save, and training goes on. `about` is written with each checkpoint and may be
    added to. Of several processes only one writes.
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
        on_full: Literal["stop", "go_on"] = "stop",
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
        self.owed: Checkpoint | None = None
        """The best weights, until they are on the disk."""

    def due(self, step: int) -> bool:
        every, seconds = self.config.checkpoint_steps, self.config.checkpoint_seconds
        if every and step % every == 0:
            return True
        # A disk that is slower than checkpoints fall due must not make training wait.
        return bool(seconds) and time.monotonic() - self.saved_at >= seconds and not self.background.busy

    def save(self, training: Training) -> None:
        """Copy the state and have it written. Raises StorageError where an earlier one could not be written."""
        self.hand_over(training, best=False)

    def epoch_done(self, training: Training, *, best: bool) -> None:
        """Have checkpoints, results and the log written, and tell the user how the epoch went."""
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
        mark = "  *" if best else ""
        speed = f"{row['samples_per_second']:>7,.0f}/s  {row['seconds']:.1f} s"
        train, val = (
            format(row[f"{part}_{self.metric}"], ".2%" if self.percent else ".4f") for part in ("train", "val")
        )
        note(
            f"epoch {row['epoch']:>3.0f}/{self.config.epochs}  loss {row['train_loss']:.4f}  {self.metric} {train}  "
            f"val loss {row['val_loss']:.4f}  val {self.metric} {val}  {speed}{mark}"
        )
        if stopped_early:
            note(f"No improvement for {self.config.patience} epochs: stopped early.")

    def hand_over(self, training: Training, *, best: bool, then: Callable[[], None] = lambda: None) -> None:
        """Copy the state for the writer, once it is free."""
        self.saved_at = time.monotonic()
        if not self.writes:
            return
        self.settle()
        if self.owed is not None:  # could not be written; its memory must not be written over
            self.buffers = Buffers()
        now = checkpoint_of(training, self.about)
        snapshot = Checkpoint(self.buffers.hold(now.tensors), now.state, now.about)
        if best:
            self.owed = snapshot
        self.background.start(lambda: self.write(snapshot, then))

    def write(self, snapshot: Checkpoint, then: Callable[[], None]) -> None:
        # `best` goes first: else a kill between the two would leave `last` speaking of a best that is not there.
        if self.owed is not None:
            with whole_file(self.run.best) as file:
                stream_checkpoint(file, self.owed)
            self.owed = None
        write_last(self.run, snapshot, self.keep)
        then()

    def settle(self) -> None:
        """Wait for the writer. Raises what went wrong there, save a full disk where training is to go on."""
        try:
            self.background.wait()
        except StorageError as error:
            if self.on_full == "stop" or not is_full(error):
                raise
            note(f"{error} Training goes on without this checkpoint, as train.on_full is go_on.")

    def close(self) -> None:
        """Wait until all is written. Raises StorageError as `save` does."""
        self.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.close()
            return
        try:
            self.background.wait()
        except StorageError as failure:
            if isinstance(error, Interrupted):  # it says that the state is saved
                raise
            note(str(failure))

    def restore(self, training: Training) -> dict[str, Any] | None:
        """Go back to the newest checkpoint that is whole; returns what it says about itself, None without any.

        Raises CheckpointError where all are damaged, it belongs to another network, or the data has changed since.
        """
        newest = newest_whole(self.run, put_away=self.writes)
        if newest is None:
            return None
        path, found = newest
        restore_checkpoint(found, training, path)
        self.check_about(found.about)
        if training.state.best_epoch >= 0:
            self.read_best(training.state.best_epoch)  # now, rather than after all further training
        return found.about

    def check_about(self, about: dict[str, Any]) -> None:
        """Raises CheckpointError where a checkpoint was written with other settings or data."""
        if about["settings"] not in self.accepted:
            raise CheckpointError(
                f"A run goes on with the settings it began with. {self.run.config} was changed since. Change it "
                f"back, or start a new run with it: neocog train --config {self.run.config}"
            )
        if about["data"] != self.about["data"]:
            raise CheckpointError(
                f"A run goes on with the data it began with. {self.run.path} began with other records or labels "
                f"({about['data']}, now {self.about['data']}). Bring the data back, or start a new run."
            )
        if about["threads"] != self.about["threads"]:
            note(
                f"This run began with {about['threads']} threads and goes on with {self.about['threads']}: sums are "
                "taken in another order, so the weights may differ in their last bits."
            )

    def read_best(self, epoch: int) -> Checkpoint:
        """The best weights so far. Raises CheckpointError where they are lost, or those of another epoch."""
        cause = None
        try:
            found = read_checkpoint(self.run.best)
            if found.state["best_epoch"] == epoch:
                return found
            verdict = f"holds those of epoch {found.state['best_epoch'] + 1}"
        except CheckpointError as error:
            verdict, cause = "is missing or damaged", error
        raise CheckpointError(
            f"The best weights so far, those of epoch {epoch + 1}, are lost: {self.run.best} {verdict}. "
            f"Remove {self.run.best.parent}, and --resume trains this run again from the start."
        ) from cause

    def restore_best(self, training: Training) -> None:
        """Bring back the weights of the best epoch, and leave the state as it is."""
        self.close()
        state = training.state
        best = self.owed or self.read_best(state.best_epoch)
        restore_checkpoint(best, training, self.run.best)
        training.state = state


def is_full(error: StorageError) -> bool:
    """Whether it was for want of space that a file could not be written."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL
