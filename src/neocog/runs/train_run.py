"""The main way: from settings and data to a run folder with a trained, measured, sealed network.

The module is not called `train`, as the function of that name would hide it.
"""

import json
import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

from neocog.data import divides_by_class
from neocog.errors import DivergenceError, StorageError, some
from neocog.files import folder_lock, write_whole
from neocog.loading import Dataset
from neocog.planning import known_machine
from neocog.progress import note
from neocog.runs.budget import make_clock, measure_pace, num_affordable, plan_epochs, warn_of_short_budget
from neocog.runs.checkpoints import RunCheckpointer
from neocog.runs.config import ResolvedConfig, RunConfig, as_resolved, read_run_config, with_paths
from neocog.runs.extend import Extension, plan_extension, with_epochs
from neocog.runs.finish import DescribeSearch, finish
from neocog.runs.folder import Run
from neocog.runs.prepare import Prepared, prepare
from neocog.runs.provenance import Provenance, SetBy
from neocog.runs.session import session
from neocog.runs.validate import validate
from neocog.training import Clock, FitSettings, Interrupt, Interrupted, Training, fit, make_optimizer
from neocog.training.distributed import World, broadcast_json, distribute, on_first, same_everywhere
from neocog.training.executor import StepExecutor
from neocog.training.monitoring import NO_MONITOR, Monitor, null_log, read_warnings
from neocog.training.replans import check_replans
from neocog.training.speed import Decision, choose_speed
from neocog.training.state import hidden_parameters

__all__ = ["carry_out", "resume", "share_run", "train", "train_network"]

AFTER_TRIAL = 5  # times as long as a trial of the race is the training of its winner, about


def train(
    config: RunConfig | ResolvedConfig,
    *,
    data: object = None,
    name: str | None = None,
    runs: str | Path = "runs",
    download: bool = False,
    began: float | None = None,
) -> Run:
    """Train a network as the config says, and leave everything in a new folder `runs/NAME/`.

    `data` is a Python object instead of the config's source: arrays, a Hugging Face or a torch data set.
    The folder is made once the data are read and the network fits them, so bad input leaves nothing behind.
    If torchrun has restarted the processes, the run of this name is resumed.
    `began` is when the time of a run within `train.minutes` began, by `time.monotonic()`; by default now.
    Raises a NeocogError for what a user can fix, and Interrupted, with the state saved, on the first Ctrl-C.
    """
    began = time.monotonic() if began is None else began
    resolved = as_resolved(config)
    resolved = ResolvedConfig(with_paths(resolved.config), resolved.provenance)
    if name is not None and is_restart(Path(runs) / name):
        note(f"{name} exists: resuming from its last checkpoint, with the settings it began with")
        return resume(Path(runs) / name, data=data, began=began)
    with session(resolved.config) as world:
        if name is not None and world.first:
            Run.check_name(Path(runs), name)
        prepared = prepare(resolved, world, data=data, download=download)
        stem = f"{prepared.source.name}-{prepared.resolved.config.model.name}"
        run = share_run(on_first(lambda: Run.create(Path(runs), name, stem), world), world)
        with folder_lock(run.path) if world.first else nullcontext():
            if world.first:
                start_folder(run, prepared)
            return carry_out(run, prepared, world, began=began)


def resume(
    path: str | Path,
    *,
    epochs: int | str | None = None,
    data: object = None,
    runs: str | Path = "runs",
    began: float | None = None,
    used: float = 0.0,
    describe_search: DescribeSearch | None = None,
) -> Run:
    """Resume a run that was stopped, from its last checkpoint, with the settings it began with.

    With `epochs`, a run, finished or not, is trained to N epochs in all, as if N had been planned from the start. This
    is possible if the rates so far don't depend on the number of epochs, as with the schedules constant, step and
    restarts. The files of a finished run are replaced when it is finished again.

    On a CPU with the same number of threads, the final weights have the same bits as without the stop. The number of
    processes may differ: samples and their order stay the same. A run within `train.minutes` has the time that it had
    not used; `began` is as in `train`, and `used` are seconds that a search used before the first checkpoint, which
    `describe_search` describes.
    Raises RunError if the run is finished, in use by another process, or can't have N epochs.
    """
    began = time.monotonic() if began is None else began
    run = Run.open(path, Path(runs))
    resolved = read_run_config(run.config)
    extension = plan_extension(run, resolved, epochs)
    if extension is not None:
        before = extension.before[-1]
        resolved = with_epochs(
            resolved, extension.epochs, Provenance(SetBy.FLAG, f"--epochs, for a run that was planned for {before}")
        )
    with session(resolved.config) as world, folder_lock(run.path) if world.first else nullcontext():
        prepared = prepare(resolved, world, data=data, start_file=run.start, begins=not run.last.is_file())
        if world.first:
            run.log("resume")
        return carry_out(run, prepared, world, extension, began=began, used=used, describe_search=describe_search)


def is_restart(folder: Path) -> bool:
    """Whether torchrun has restarted the processes of this run: it may do so, and the run exists already."""
    allowed = os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")
    return allowed.isdigit() and int(allowed) > 0 and Run(folder).config.is_file()


def share_run(run: Run | None, world: World) -> Run:
    """The first process's run, in all processes."""
    if world.size == 1:
        return cast(Run, run)
    return Run(Path(broadcast_json(str(run.path.resolve()) if run else "", world)))


def start_folder(run: Run, prepared: Prepared) -> None:
    """Write down the settings of the run. Raises StorageError, and removes the folder, if they can't be written."""
    try:
        write_whole(run.config, prepared.resolved.to_yaml())
        if prepared.start is not None:  # so that the run can be resumed whatever becomes of the file
            write_whole(run.start, prepared.start.file.read_bytes())
        run.log("start", data=prepared.source.name, model=prepared.resolved.config.model.name)
    except StorageError:
        shutil.rmtree(run.path)  # nothing is in it yet
        raise


def carry_out(
    run: Run,
    prepared: Prepared,
    world: World,
    extension: Extension | None = None,
    *,
    began: float,
    used: float = 0.0,
    describe_search: DescribeSearch | None = None,
) -> Run:
    """Train from the run's last checkpoint, then measure, seal and report.

    `used` is as in `train_network`, `describe_search` as in `finish`.
    """
    with closing(prepared):
        prepared, training = train_network(run, prepared, world, extension, began=began, used=used)
        steps = prepared.loader.num_steps
        with name_resume_command(run, training, world):
            on_first(lambda: finish(run, prepared, training, steps, extension, describe_search), world)
    return run


def train_network(
    run: Run,
    prepared: Prepared,
    world: World,
    extension: Extension | None = None,
    *,
    began: float,
    used: float = 0.0,
    is_trial: bool = False,
    after_epoch: Callable[[Training], bool] | None = None,
) -> tuple[Prepared, Training]:
    """Train from the run's last checkpoint; returns the best weights, and the settings with the number of epochs.

    Training ends early if `after_epoch` returns True.

    `used` are seconds of the budget that were used before `began`, besides those in the checkpoint. After a trial,
    nothing is measured, so no time is kept for it.
    """
    check_same(prepared, world)
    if world.first:
        run.last.parent.mkdir(exist_ok=True)  # a user may have removed it to begin again
    note_network(run, prepared, world)
    pace = measure_pace(prepared, world)
    make = partial(
        make_clock, prepared, pace, world=world, began=began, used=used, is_trial=is_trial,
        begins=not run.last.is_file(),
    )  # fmt: skip
    decision = decide_speed(run, prepared, world, make(decision=None), AFTER_TRIAL if is_trial else 1)
    clock = make(decision=decision)
    prepared = plan_epochs(run, prepared, clock, world)
    planned = prepared.loader.num_steps * prepared.resolved.config.train.epochs
    check_replans(prepared.resolved.config.train.replanned or (), planned)
    training = make_training(prepared, decision, world)
    checkpointer = make_checkpointer(run, prepared, world, extension)
    checkpointer.restore(training)
    if extension is not None and world.first:  # only now, as another data set would have been refused
        extension.start(run)
    config = prepared.resolved.config
    if training.state.history and world.first:
        run.write_results(training.state.history)  # a kill may have come between checkpoint and results
    if training.state.step:
        note(f"Resuming after step {training.state.step:,} of {training.state.num_steps(planned):,}")
    monitor = make_monitor(run, prepared, training, decision, world)
    with name_resume_command(run, training, world):
        with Interrupt() as interrupt, checkpointer, closing(monitor):
            fit(
                training,
                prepared.loader,
                lambda model: validate(model, prepared.val, prepared.preprocess, prepared.task, world),
                prepared.task,
                FitSettings(train=config.train, optimizer=config.optimizer, schedule=config.schedule),
                checkpointer=checkpointer,
                interrupt=interrupt,
                monitor=monitor,
                world=world,
                clock=clock,
                validates_start=config.model.head == "logistic",
                after_epoch=None if after_epoch is None else partial(after_epoch, training),
            )
        if world.first:
            note_skipped(run, prepared.train)
            warn_of_short_budget(clock, training.state, prepared.loader.num_steps)
            checkpointer.restore_best(training)
    return prepared, training


def check_same(prepared: Prepared, world: World) -> None:
    """Raises ConfigError if the processes have other settings or data."""
    settings = {key: repr(value) for key, value, _ in prepared.resolved.rows()}
    same_everywhere({**settings, "the data": prepared.fingerprint}, "settings and data", world)


def note_network(run: Run, prepared: Prepared, world: World) -> None:
    """Print the size of the network, and where it is trained."""
    parameters = sum(p.numel() for p in prepared.model.parameters() if p.requires_grad)
    where = f"{world.size} x {prepared.device.type}" if world.size > 1 else str(prepared.device)
    name = prepared.resolved.config.model.name
    note(f"{name}: {parameters:,} trainable parameters, on {where}; run folder {run.path}")


def make_training(prepared: Prepared, decision: Decision, world: World) -> Training:
    """The network with its optimiser and averages, each step computed as decided."""
    config = prepared.resolved.config
    distributed = distribute(
        prepared.model, world, sync_batch_norm=config.train.sync_batch_norm, bf16_gradients=config.train.bf16_gradients
    )  # fmt: skip
    executor = StepExecutor(distributed, prepared.task.loss, decision, prepared.device)
    return Training(prepared.model, config.optimizer, config.train.ema_decay, executor=executor)


def make_checkpointer(run: Run, prepared: Prepared, world: World, extension: Extension | None) -> RunCheckpointer:
    """The writer of the run's checkpoints; they name its data and settings."""
    config = prepared.resolved.config
    return RunCheckpointer(
        run,
        config.train,
        # An earlier release split groups otherwise: its runs would train on what they validated on.
        data=prepared.fingerprint + ("/groups-by-class" if divides_by_class(prepared.source) else ""),
        settings=prepared.resolved.digest(),
        earlier_settings=extension.digests(prepared.resolved) if extension else (),
        epoch_steps=prepared.loader.num_steps,
        keep=config.train.keep,
        on_full=config.train.on_full,
        metric=prepared.task.progress_metric,
        percent=prepared.task.progress_percent,
        writes=world.first,
    )


@contextmanager
def name_resume_command(run: Run, training: Training, world: World) -> Iterator[None]:
    """An error that ends training early names the command that resumes it, and is noted in the run's log."""
    command = f"neocog train --resume {shlex.quote(str(run.path))}"
    try:
        yield
    except Interrupted as stop:
        with suppress(StorageError):  # how to resume matters more than the log
            if world.first:
                run.log("interrupted", step=training.state.step)
        raise Interrupted(f"{stop}; saved. Resume with: {command}", stop.signum) from None
    except DivergenceError as error:
        if world.first:
            run.log("diverged", error=str(error))
        raise
    except KeyboardInterrupt:
        raise Interrupted(f"Stopped at once. Resume from the last checkpoint with: {command}", signal.SIGINT) from None
    except StorageError as error:
        fix = f"{error.fix} Then resume with: {command}".strip()
        raise StorageError(error.rule, received=error.received, where=error.where, fix=fix) from error


def decide_speed(run: Run, prepared: Prepared, world: World, clock: Clock | None = None, times: int = 1) -> Decision:
    """How steps are computed: as when the run began, else as the first process measures now for all.

    A run with a clock has as many steps as fit into its time. What a trial measures is used by a run that is `times`
    as long.
    """
    kept = json.loads(run.speed.read_text(encoding="utf-8")) if run.speed.is_file() and world.first else None
    kept = broadcast_json(kept, world)
    if kept is not None:
        return Decision.from_json(kept)
    config, loader = prepared.resolved.config, prepared.loader
    steps = num_affordable(clock, prepared) if clock is not None else loader.num_steps * config.train.epochs

    def choose() -> dict[str, Any]:
        inputs, labels = loader.batch(0, 0)
        decision = choose_speed(
            prepared.model,
            inputs,
            labels,
            loss=prepared.task.loss,
            optimizer=lambda other: make_optimizer(other, config.optimizer, hidden_parameters(other)),
            steps=times * steps,
            config=config.speed,
            several_sizes=config.train.progressive is not None,
        )
        write_whole(run.speed, json.dumps(decision.to_json(), indent=1))
        return decision.to_json()

    decision = Decision.from_json(broadcast_json(on_first(choose, world), world))
    for line in decision.lines():
        note(line)
    return decision


def make_monitor(run: Run, prepared: Prepared, training: Training, decision: Decision, world: World) -> Monitor:
    """The log and warnings of training; only the first process has them."""
    machine = known_machine(prepared.device.type)
    precision = "fp32" if decision.precision == "fp32" else "bf16"
    return Monitor(
        prepared.resolved.config.monitor if world.first else NO_MONITOR,
        training.model,
        run.log if world.first else null_log,
        device=prepared.device,
        num_classes=len(prepared.task.classes) if prepared.task.by_class else 0,
        flops=prepared.plan.flops if world.first else 0,
        peak=machine.flops[precision] * world.size if machine else None,
        compiled=decision.compiled,
        step=training.state.step,
        history=training.state.history,
        warned=read_warnings(run.events),
        folder=run.path / "tensorboard",
    )


def note_skipped(run: Run, train: Dataset) -> None:
    """Print and log which training samples could not be read."""
    if train.skipped:
        note(f"{len(train.skipped):,} training samples could not be read and were skipped: {some(train.skipped)}")
        run.log("skipped", count=len(train.skipped), records=dict(islice(train.skipped.items(), 100)))
