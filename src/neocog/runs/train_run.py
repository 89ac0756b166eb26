"""The main way: from settings and data to a run folder with a trained, measured, sealed network."""

import json
import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from neocog.data import DataConfig, divides_by_class
from neocog.errors import DivergenceError, StorageError, some
from neocog.files import folder_lock, write_whole
from neocog.loading import (
    BlockRandomSampler,
    ClassBalancedSampler,
    Dataset,
    InMemoryDataset,
    Loader,
    RandomSampler,
    RepeatedAugmentationSampler,
    Sampler,
)
from neocog.planning import known_machine, plan
from neocog.progress import note, quiet
from neocog.runs.config import RunConfig, Settled, as_settled, read_config, settle, with_paths
from neocog.runs.extend import Extension, plan_extension, with_epochs
from neocog.runs.finish import finish
from neocog.runs.folder import Run
from neocog.runs.keeper import RunKeeper
from neocog.runs.modality import changes
from neocog.runs.prepare import Prepared, find_device, prepare
from neocog.training import Interrupt, Interrupted, Training, fit, make_optimizer
from neocog.training.distributed import (
    World,
    broadcast_json,
    distribute,
    gather_logits,
    guarded,
    is_one_of_several,
    join_world,
    leave_world,
    my_rows,
    on_first,
    same_everywhere,
    unsynchronised,
)
from neocog.training.engine import Engine
from neocog.training.loop import ALONE, QUIET, silent
from neocog.training.speed import Decision, choose_speed, exact_arithmetic, keep_memory, right_threads, use_threads
from neocog.training.state import hidden_parameters
from neocog.training.watching import Watch, told_before
from neocog.zoo import model_info

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
    Where torchrun has started the processes anew, a run of this name goes on.
    Raises a NeocogError for what a user can mend, and Interrupted, with the state saved, on the first Ctrl-C.
    """
    settled = as_settled(config)
    settled = Settled(with_paths(settled.config), settled.origins)
    if name is not None and restarted(Path(runs) / name):
        note(f"{name} was begun before: going on from its last checkpoint, with the settings it began with")
        return resume(Path(runs) / name, data=data)
    with together(settled.config) as world:
        if name is not None and world.first:
            Run.check_name(Path(runs), name)
        prepared = prepare(settled, data=data, download=download, world=world)
        stem = f"{prepared.source.name}-{prepared.settled.config.model.name}"
        run = shared_run(on_first(lambda: Run.create(Path(runs), name, stem), world), world)
        with folder_lock(run.path) if world.first else nullcontext():
            if world.first:
                begin_folder(run, prepared)
            return carry_out(run, prepared, world)


def resume(path: str | Path, *, epochs: int | str | None = None, data: object = None, runs: str | Path = "runs") -> Run:
    """Go on with a run that was stopped, from its last checkpoint, with the settings it began with.

    With `epochs` a run, be it finished or not, is trained to so many in all, as if they had been planned from the
    start. That is possible where the rates so far do not depend on the number of epochs, as with the schedules
    constant, step and restarts. What a finished run has left is replaced when it is finished again.

    On a CPU with the same number of threads the final weights have the same bits as without the stop. Several
    processes may go on with what any other number began: samples and their order stay the same.
    Raises RunError where the run is finished, in use by another process, or can't have so many epochs.
    """
    run = Run.open(path, Path(runs))
    _, values, origins = read_config(run.config)
    base = settle(RunConfig(data=DataConfig(source="")), "default", [("the run's config.yaml", values)])
    settled = Settled(base.config, {**base.origins, **origins})
    extension = plan_extension(run, settled, epochs)
    if extension is not None:
        before = extension.before[-1]
        settled = with_epochs(settled, extension.epochs, f"--epochs, for a run that was planned for {before}")
    with together(settled.config) as world, folder_lock(run.path) if world.first else nullcontext():
        prepared = prepare(settled, data=data, world=world, start_file=run.start)
        if world.first:
            run.log("resume")
        return carry_out(run, prepared, world, extension)


def restarted(folder: Path) -> bool:
    """Whether torchrun, which was allowed to start processes anew, has done so: the run is there already."""
    allowed = os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")
    return allowed.isdigit() and int(allowed) > 0 and Run(folder).config.is_file()


@contextmanager
def together(config: RunConfig) -> Iterator[World]:
    """With the other processes, if this was started as one of several; only the first speaks to the user."""
    several = is_one_of_several()
    world = join_world(config.train.device) if several else World(device=find_device(config.train.device))
    here = {**os.environ, "LOCAL_WORLD_SIZE": str(world.local_size)}
    use_threads(config.speed.threads or right_threads(here))
    exact = exact_arithmetic() if config.speed.mode == "exact" else nullcontext()
    memory = keep_memory() if world.device.type == "cpu" else nullcontext()
    try:
        with guarded(world), exact, memory, nullcontext() if world.first else quiet():
            yield world
    finally:
        leave_world(world)


def shared_run(run: Run | None, world: World) -> Run:
    """The first process's run, in all."""
    return (
        Run(Path(broadcast_json(str(run.path.resolve()) if run else "", world))) if world.size > 1 else cast(Run, run)
    )


def begin_folder(run: Run, prepared: Prepared) -> None:
    """Write down what the run is made with. Raises StorageError, and leaves no folder, where that can't be written."""
    try:
        write_whole(run.config, prepared.settled.to_yaml())
        if prepared.start is not None:  # so that the run goes on whatever becomes of the file
            write_whole(run.start, prepared.start.file.read_bytes())
        run.log("start", data=prepared.source.name, model=prepared.settled.config.model.name)
    except StorageError:
        shutil.rmtree(run.path)  # nothing is in it yet
        raise


def carry_out(run: Run, prepared: Prepared, world: World, extension: Extension | None = None) -> Run:
    """Train from where the run stands, then measure, seal and report."""
    config, task = prepared.settled.config, prepared.task
    settings = {key: repr(value) for key, value, _ in prepared.settled.rows()}
    same_everywhere({**settings, "the data": prepared.fingerprint}, "settings and data", world)
    if world.first:
        run.last.parent.mkdir(exist_ok=True)  # a user may have removed it to begin again
    loader = open_loader(prepared, world)
    parameters = sum(p.numel() for p in prepared.model.parameters() if p.requires_grad)
    where = f"{world.size} x {prepared.device.type}" if world.size > 1 else str(prepared.device)
    note(f"{config.model.name}: {parameters:,} trainable parameters, on {where}; run folder {run.path}")
    decision = speed_of(run, prepared, loader, world)
    distributed = distribute(
        prepared.model, world, sync_batch_norm=config.train.sync_batch_norm, bf16_gradients=config.train.bf16_gradients
    )  # fmt: skip
    engine = Engine(distributed, task.loss, decision, prepared.device)
    training = Training(prepared.model, config.optimizer, config.train.ema_decay, engine=engine)
    keeper = RunKeeper(
        run,
        config.train,
        # An earlier release divided groups otherwise: its runs would learn from what they validated on.
        data=prepared.fingerprint + ("/groups-by-class" if divides_by_class(prepared.source) else ""),
        settings=prepared.settled.digest(),
        earlier_settings=extension.digests(prepared.settled) if extension else (),
        epoch_steps=loader.num_steps,
        keep=config.train.keep,
        on_full=config.train.on_full,
        writes=world.first,
    )
    keeper.restore(training)
    if extension is not None and world.first:  # only now, as another data set would have been refused
        extension.begin(run)
    if training.state.history and world.first:
        run.write_results(training.state.history)  # a kill may have come between checkpoint and results
    if training.state.step:
        note(f"Going on after step {training.state.step:,} of {loader.num_steps * config.train.epochs:,}")
    watch = watch_of(run, prepared, training, decision, world)
    with closing(prepared.train), closing(prepared.val), telling_how_to_go_on(run, training, world):
        with Interrupt() as interrupt, keeper, closing(watch):
            fit(
                training,
                loader,
                lambda model: validate(model, prepared, world),
                task,
                config=config.train,
                optimizer=config.optimizer,
                schedule=config.schedule,
                keeper=keeper,
                interrupt=interrupt,
                watch=watch,
                world=world,
            )
        if world.first:
            report_skipped(run, prepared.train)
            keeper.restore_best(training)
        on_first(lambda: finish(run, prepared, training, loader.num_steps, extension), world)
    return run


@contextmanager
def telling_how_to_go_on(run: Run, training: Training, world: World) -> Iterator[None]:
    """What ends training before its time names the command that goes on, and is noted in the log of the run."""
    go_on = f"neocog train --resume {shlex.quote(str(run.path))}"
    try:
        yield
    except Interrupted as stop:
        with suppress(StorageError):  # how to go on matters more than the log
            if world.first:
                run.log("interrupted", step=training.state.step)
        raise Interrupted(f"{stop}; saved. Go on with: {go_on}", stop.signum) from None
    except DivergenceError as error:
        if world.first:
            run.log("diverged", error=str(error))
        raise
    except KeyboardInterrupt:
        raise Interrupted(f"Stopped at once. Go on from the last checkpoint with: {go_on}", signal.SIGINT) from None
    except StorageError as error:
        raise StorageError(f"{error} Then go on with: {go_on}") from error


def open_loader(prepared: Prepared, world: World = ALONE, *, batch_size: int | None = None) -> Loader:
    """The training records as batches, by default of the run's size, of which this process gets its part."""
    config = prepared.settled.config
    return Loader(
        prepared.train.to(prepared.device) if isinstance(prepared.train, InMemoryDataset) else prepared.train,
        prepared.preprocess,
        batch_size=batch_size or config.train.batch_size,
        seed=config.train.seed,
        augment=changes(config, prepared.source.modality),
        order=order(prepared),
        num_classes=len(prepared.task.classes),
        rank=world.rank,
        world=world.size,
        device=prepared.device,
    )


def speed_of(run: Run, prepared: Prepared, loader: Loader, world: World) -> Decision:
    """How steps are computed: as the run began, else as measured now, by the first process for all."""
    kept = json.loads(run.speed.read_text(encoding="utf-8")) if run.speed.is_file() and world.first else None
    kept = broadcast_json(kept, world)
    if kept is not None:
        return Decision.from_json(kept)
    config, model = prepared.settled.config, prepared.model

    def choose() -> dict[str, Any]:
        images, labels = loader.batch(0, 0)
        decision = choose_speed(
            model,
            images,
            labels,
            loss=prepared.task.loss,
            optimizer=lambda other: make_optimizer(other, config.optimizer, hidden_parameters(other)),
            steps=loader.num_steps * config.train.epochs,
            config=config.speed,
        )
        write_whole(run.speed, json.dumps(decision.to_json(), indent=1))
        return decision.to_json()

    decision = Decision.from_json(broadcast_json(on_first(choose, world), world))
    for line in decision.lines():
        note(line)
    return decision


def watch_of(run: Run, prepared: Prepared, training: Training, decision: Decision, world: World) -> Watch:
    """What is told of training on the way; the first process tells it."""
    config = prepared.settled.config
    data_type = model_info(config.model.name).input_dtype
    machine = known_machine(prepared.device.type)
    precision = "fp32" if decision.precision == "fp32" else "bf16"
    return Watch(
        config.watch if world.first else QUIET,
        training.model,
        run.log if world.first else silent,
        device=prepared.device,
        num_classes=len(prepared.task.classes),
        flops=plan(prepared.model, prepared.preprocess.shape, dtype=data_type).flops if world.first else 0,
        peak=machine.flops[precision] * world.size if machine else None,
        compiled=decision.compiled,
        step=training.state.step,
        history=training.state.history,
        told=told_before(run.events),
        folder=run.path / "tensorboard",
    )


def order(prepared: Prepared) -> Sampler:
    """In which order an epoch brings the training records."""
    repeats = prepared.settled.config.data.repeats
    return single_order(prepared) if repeats == 1 else RepeatedAugmentationSampler(single_order(prepared), repeats)


def single_order(prepared: Prepared) -> Sampler:
    config = prepared.settled.config
    size, seed = len(prepared.train), config.train.seed
    if config.data.balance < 1:
        return ClassBalancedSampler(prepared.train.labels.numpy(), seed, config.data.balance)
    block = getattr(prepared.source, "block_size", None)
    if block and not isinstance(prepared.train, InMemoryDataset):
        return BlockRandomSampler(size, seed, block)
    return RandomSampler(size, seed)


def report_skipped(run: Run, train: Dataset) -> None:
    """Say and log which training records could not be read."""
    if train.skipped:
        note(f"{len(train.skipped):,} training records could not be read and were skipped: {some(train.skipped)}")
        run.log("skipped", count=len(train.skipped), records=dict(islice(train.skipped.items(), 100)))


@torch.inference_mode()
def validate(model: nn.Module, prepared: Prepared, world: World) -> dict[str, float]:
    """Loss and accuracy on the validation data, every sample once, by all processes together."""
    model.eval()
    val, own = prepared.val, my_rows(len(prepared.val), world)
    rows = np.arange(own.start, own.stop)
    parts = np.split(rows, range(VALIDATION_BATCH, len(rows), VALIDATION_BATCH)) if len(rows) else []
    logits = [torch.empty(0, len(prepared.task.classes))]
    with unsynchronised():
        for i, part in enumerate(parts):
            inputs, _ = val.take(part, parts[i + 1 : i + 1 + val.ahead])
            logits.append(model(prepared.preprocess.normalise(inputs.to(prepared.device))).cpu())
    scored = gather_logits(torch.cat(logits), len(val), world)
    assert len(scored) == len(val), "samples in = samples scored"
    return prepared.task.validation(scored, val.labels)
