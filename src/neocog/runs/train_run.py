"""The main way: from settings and data to a run folder with a trained, measured, sealed network."""

import shlex
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from neocog.data import DataConfig, Loader
from neocog.errors import DivergenceError, RunError, StorageError
from neocog.files import folder_lock, write_whole
from neocog.progress import note
from neocog.runs.config import RunConfig, Settled, as_settled, read_config, settle, with_paths
from neocog.runs.finish import finish
from neocog.runs.folder import Run
from neocog.runs.keeper import RunKeeper
from neocog.runs.prepare import Prepared, prepare
from neocog.training import Interrupt, Interrupted, Training, fit

__all__ = ["resume", "train"]

VALIDATION_BATCH = 512


def train(
    config: RunConfig | Settled, *, name: str | None = None, runs: str | Path = "runs", download: bool = False
) -> Run:
    """Train a network as the config says, and leave everything in a new folder `runs/NAME/`.

    The folder is made when the data is read and the network fits it, so bad input leaves nothing behind.
    Raises a NeocogError for what a user can mend, and Interrupted, with the state saved, on the first Ctrl-C.
    """
    settled = as_settled(config)
    settled = Settled(with_paths(settled.config), settled.origins)
    if name is not None:
        Run.check_name(Path(runs), name)
    prepared = prepare(settled, download=download)
    run = Run.create(Path(runs), name, f"{prepared.source.name}-{settled.config.model.name}")
    with folder_lock(run.path):
        try:
            write_whole(run.config, prepared.settled.to_yaml())
            run.log("start", data=prepared.source.name, model=settled.config.model.name)
        except StorageError:
            shutil.rmtree(run.path)  # nothing is in it yet
            raise
        return carry_out(run, prepared)


def resume(path: str | Path, *, runs: str | Path = "runs") -> Run:
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
        prepared = prepare(Settled(base.config, {**base.origins, **origins}))
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
    loader = Loader(
        prepared.train,
        prepared.preprocess,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        augment=config.augment,
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


@torch.inference_mode()
def validate(model: nn.Module, prepared: Prepared) -> dict[str, float]:
    """Loss and accuracy on the validation data, every sample once."""
    model.eval()
    parts = torch.split(prepared.val.inputs, VALIDATION_BATCH)
    logits = torch.cat([model(prepared.preprocess.normalise(part.to(prepared.device))).cpu() for part in parts])
    assert len(logits) == len(prepared.val), "samples in = samples scored"
    return prepared.task.validation(logits, prepared.val.labels)
