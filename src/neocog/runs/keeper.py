"""Keeping a run safe while it trains: checkpoints, results, events."""

import time

import torch

from neocog.errors import CheckpointError
from neocog.progress import note
from neocog.runs.folder import Run
from neocog.training import TrainConfig, Training, load_checkpoint, read_checkpoint, save_checkpoint

__all__ = ["RunKeeper"]


class RunKeeper:
    """Writes `last` when it is due and at the end of epochs, `best` when an epoch is the best so far."""

    def __init__(self, run: Run, config: TrainConfig, *, data: str, settings: str) -> None:
        self.run, self.config = run, config
        self.about = {"data": data, "settings": settings, "threads": torch.get_num_threads()}
        self.saved_at = time.monotonic()

    def due(self, step: int) -> bool:
        every, seconds = self.config.checkpoint_steps, self.config.checkpoint_seconds
        if every and step % every == 0:
            return True
        return bool(seconds) and time.monotonic() - self.saved_at >= seconds

    def save(self, training: Training) -> None:
        save_checkpoint(self.run.last, training, self.about)
        self.saved_at = time.monotonic()

    def epoch_done(self, training: Training, *, best: bool) -> None:
        """Write checkpoints, results and the log, and tell the user how the epoch went."""
        row = training.state.history[-1]
        # `best` goes first: else a kill between the two would leave `last` speaking of a best that is not there.
        if best:
            save_checkpoint(self.run.best, training, self.about)
        self.save(training)
        self.run.write_results(training.state.history)
        self.run.log("epoch", best=best, **row)
        mark = "  *" if best else ""
        speed = f"{row['samples_per_second']:>7,.0f}/s  {row['seconds']:.1f} s"
        note(
            f"epoch {row['epoch']:>3.0f}/{self.config.epochs}  loss {row['train_loss']:.4f}  "
            f"accuracy {row['train_accuracy']:.2%}  val loss {row['val_loss']:.4f}  "
            f"val accuracy {row['val_accuracy']:.2%}  {speed}{mark}"
        )
        if training.state.stopped_early:
            self.run.log("stopped early", patience=self.config.patience)
            note(f"No improvement for {self.config.patience} epochs: stopped early.")

    def restore(self, training: Training) -> None:
        """Go back to the newest checkpoint, if there is one.

        Raises CheckpointError where it is damaged, belongs to another network, or the data has changed since.
        """
        path = next((path for path in (self.run.last, self.run.best) if path.exists()), None)
        if path is None:
            return
        about = load_checkpoint(path, training)
        if about["settings"] != self.about["settings"]:
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

        if training.state.best_epoch >= 0:
            self.check_best(training.state.best_epoch)

    def check_best(self, epoch: int) -> None:
        """Raises CheckpointError where the best weights so far are lost, rather than after all further training."""
        try:
            read_checkpoint(self.run.best)
        except CheckpointError as error:
            raise CheckpointError(
                f"The best weights so far, those of epoch {epoch + 1}, are lost: {self.run.best} is missing or "
                f"damaged. Remove {self.run.best.parent}, and --resume trains this run again from the start."
            ) from error

    def restore_best(self, training: Training) -> None:
        """Bring back the weights of the best epoch, and leave the state as it is."""
        state = training.state
        load_checkpoint(self.run.best, training)
        training.state = state
