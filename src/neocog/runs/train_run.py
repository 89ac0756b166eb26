"""The main way: from settings and data to a run folder with a trained, measured, sealed network."""

import shlex
import shutil
import signal
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from neocog.data import Balanced, BlockShuffled, DataConfig, Feed, Loader, Order, Resident, Shuffled
from neocog.errors import DivergenceError, RunError, StorageError, some
from neocog.files import folder_lock, write_whole
from neocog.progress import note
from neocog.runs.config import RunConfig, Settled, as_settled, read_config, settle, with_paths
from neocog.runs.finish import finish
from neocog.runs.folder import Run
from neocog.runs.keeper import RunKeeper
from neocog.runs.modality import changes
from neocog.runs.prepare import Prepared, prepare
from neocog.training import Interrupt, Interrupted, Training, fit

__all__ = ["resume", "train"]

VALIDATION_BATCH = 512


def train(
    config: RunConfig | Settled,
    *,
    data: object = None,
    name: str | None = None,
    runs: str | Path = "runs",
    download: bool = False,
) -> Run:
    """Train a network as the config says, and leave everything in a new folder `runs/NAME/`.

    `data` is a Python object instead of the config's source: arrays, a Hugging Face or a torch data set.
    The folder is made when the data is read and the network fits it, so bad input leaves nothing behind.
    Raises a NeocogError for what a user can mend, and Interrupted, with the state saved, on the first Ctrl-C.
    """
    settled = as_settled(config)
    settled = Settled(with_paths(settled.config), settled.origins)
    if name is not None:
        Run.check_name(Path(runs), name)
    prepared = prepare(settled, data=data, download=download)
    run = Run.create(Path(runs), name, f"{prepared.source.name}-{settled.config.model.name}")
    with folder_lock(run.path):
        try:
            write_whole(run.config, prepared.settled.to_yaml())
            run.log("start", data=prepared.source.name, model=settled.config.model.name)
        except StorageError:
            shutil.rmtree(run.path)  # nothing is in it yet
            raise
        return carry_out(run, prepared)


def resume(path: str | Path, *, data: object = None, runs: str | Path = "runs") -> Run:
    """Go on with a run that was stopped, from its last checkpoint, with the settings it began with.

    On a CPU with the same number of threads the final weights have the same bits as without the stop.
    Raises RunError where the run is finished, or in use by another process.
    """
    run = Run.open(path, Path(runs))
    with folder_lock(run.path):
        if run.finished:
            raise RunError(f"{run.path} is finished; there is nothing to resume. Its report: {run.report}")
        _, values, origins = read_config(run.config)
        base = settle(RunConfig(data=DataConfig(source="")), "default", [("the run's config.yaml", values)])
        prepared = prepare(Settled(base.config, {**base.origins, **origins}), data=data)
        run.log("resume")
        return carry_out(run, prepared)


def carry_out(run: Run, prepared: Prepared) -> Run:
    """Train from where the run stands, then measure, seal and report."""
    config = prepared.settled.config
    run.last.parent.mkdir(exist_ok=True)  # a user may have removed it to begin again
    training = Training(prepared.model, config.optimizer, config.train.ema_decay)
    keeper = RunKeeper(run, config.train, data=prepared.fingerprint, settings=prepared.settled.digest())
    keeper.restore(training)
    if training.state.history:
        run.write_results(training.state.history)  # a kill may have come between checkpoint and results
    train_feed = prepared.train.to(prepared.device) if isinstance(prepared.train, Resident) else prepared.train
    loader = Loader(
        train_feed,
        prepared.preprocess,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        augment=changes(config, prepared.source.modality),
        order=order(prepared),
        num_classes=len(prepared.task.classes),
        device=prepared.device,
    )
    parameters = sum(p.numel() for p in prepared.model.parameters() if p.requires_grad)
    note(f"{config.model.name}: {parameters:,} trainable parameters, on {prepared.device}; run folder {run.path}")
    if training.state.step:
        note(f"Going on after step {training.state.step:,} of {loader.num_steps * config.train.epochs:,}")
    go_on = f"neocog train --resume {shlex.quote(str(run.path))}"
    try:
        with Interrupt() as interrupt:
            fit(
                training,
                loader,
                lambda model: validate(model, prepared),
                prepared.task,
                config=config.train,
                optimizer=config.optimizer,
                schedule=config.schedule,
                keeper=keeper,
                interrupt=interrupt,
            )
        report_skipped(run, prepared.train)
        keeper.restore_best(training)
        return finish(run, prepared, training, loader.num_steps)
    except Interrupted as stop:
        with suppress(StorageError):  # how to go on matters more than the log
            run.log("interrupted", step=training.state.step)
        raise Interrupted(f"{stop}; saved. Go on with: {go_on}", stop.signum) from None
    except DivergenceError as error:
        run.log("diverged", error=str(error))
        raise
    except KeyboardInterrupt:
        raise Interrupted(f"Stopped at once. Go on from the last checkpoint with: {go_on}", signal.SIGINT) from None
    except StorageError as error:
        raise StorageError(f"{error} Then go on with: {go_on}") from error
    finally:
        prepared.train.close()
        prepared.val.close()


def order(prepared: Prepared) -> Order:
    """In which order an epoch brings the training records."""
    config = prepared.settled.config
    size, seed = len(prepared.train), config.train.seed
    if config.data.balance < 1:
        return Balanced(prepared.train.labels.numpy(), seed, config.data.balance)
    block = getattr(prepared.source, "block_size", None)
    if block and not isinstance(prepared.train, Resident):
        return BlockShuffled(size, seed, block)
    return Shuffled(size, seed)


def report_skipped(run: Run, train: Feed) -> None:
    """Say and log which training records could not be read."""
    if train.skipped:
        note(f"{len(train.skipped):,} training records could not be read and were skipped: {some(train.skipped)}")
        run.log("skipped", count=len(train.skipped), records=dict(islice(train.skipped.items(), 100)))


@torch.inference_mode()
def validate(model: nn.Module, prepared: Prepared) -> dict[str, float]:
    """Loss and accuracy on the validation data, every sample once."""
    model.eval()
    val = prepared.val
    parts = np.split(np.arange(len(val)), range(VALIDATION_BATCH, len(val), VALIDATION_BATCH))
    logits = []
    for i, rows in enumerate(parts):
        inputs, _ = val.take(rows, parts[i + 1 : i + 1 + val.ahead])
        logits.append(model(prepared.preprocess.normalise(inputs.to(prepared.device))).cpu())
    scored = torch.cat(logits)
    assert len(scored) == len(val), "samples in = samples scored"
    return prepared.task.validation(scored, val.labels)
