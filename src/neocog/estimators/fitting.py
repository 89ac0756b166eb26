"""A run for an estimator: in a temporary folder without a report, or in a folder of the user's."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from neocog import auto
from neocog.bundle import Predictor, load, torch_backend
from neocog.errors import ConfigError, DataError, GeometryError, NeocogError, PlanError
from neocog.estimators.inputs import ArraySource, InputError
from neocog.estimators.settings import ParameterError
from neocog.files import write_whole
from neocog.progress import quiet
from neocog.runs import ResolvedConfig, Run
from neocog.runs.finish import finish
from neocog.runs.prepare import Prepared, prepare
from neocog.runs.seal_model import seal_model
from neocog.runs.session import session
from neocog.runs.train_run import start_folder, train_network
from neocog.runs.validate import score_dataset
from neocog.training import Training
from neocog.training.interrupt import Interrupted

__all__ = ["Fitted", "fit_network", "open_bundle", "raise_value_errors"]

TURNS = threading.Lock()  # seeds, number of threads and messages are those of the process
AfterEpoch = Callable[[Training, Prepared], bool]
"""Called after each epoch; True ends training."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network, and how training went."""

    predictor: Predictor
    bundle: bytes
    history: list[dict[str, float]]
    """A row for each epoch; empty after a search."""
    folder: Path | None
    """The run folder, if it is kept."""


def fit_network(
    source: ArraySource,
    resolved: ResolvedConfig,
    *,
    weights: Sequence[float] | None = None,
    runs: str | Path | None = None,
    verbose: bool = False,
    after_epoch: AfterEpoch | None = None,
) -> Fitted:
    """Train a network; torch's number of threads is as it was afterwards. Fits in several threads take turns.

    Without `runs`, the run folder is temporary, and no report is written. `weights` are those of the classes in the
    loss, in their order. Raises NeocogError if a user can fix the cause.
    """
    with take_turn(verbose=verbose), open_folder(runs) as folder:
        if resolved.config.train.search:
            return search(source, resolved, folder, keeps=runs is not None)
        return train_once(source, resolved, folder, weights, after_epoch, keeps=runs is not None)


@contextmanager
def take_turn(*, verbose: bool) -> Iterator[None]:
    """Alone among the threads of this process, and silent unless `verbose`; torch's random state stays as it was."""
    with TURNS, torch.random.fork_rng(devices=[]), nullcontext() if verbose else quiet():
        threads = torch.get_num_threads()
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@contextmanager
def open_folder(runs: str | Path | None) -> Iterator[Path]:
    """The folder of runs: the user's, or one that is removed. Ctrl-C then has nothing to resume."""
    if runs is not None:
        yield Path(runs)
        return
    with tempfile.TemporaryDirectory(prefix="neocog-") as folder:
        try:
            yield Path(folder)
        except Interrupted as stop:
            raise KeyboardInterrupt("fit was stopped; with runs= it could be resumed") from stop


def search(source: ArraySource, resolved: ResolvedConfig, folder: Path, *, keeps: bool) -> Fitted:
    """The network of the recipe auto."""
    run = auto.train(resolved, data=source, runs=folder)
    return Fitted(load(run.bundle), run.bundle.read_bytes(), [], run.path if keeps else None)


def train_once(
    source: ArraySource,
    resolved: ResolvedConfig,
    folder: Path,
    weights: Sequence[float] | None,
    after_epoch: AfterEpoch | None,
    *,
    keeps: bool,
) -> Fitted:
    """Train one network; with `keeps` the run ends with an evaluation and a report, as every run."""
    began = time.monotonic()
    with session(resolved.config, single_process=True) as world:
        prepared = prepare(resolved, world, data=source)
        if weights is not None:
            prepared.task.weights = torch.tensor(weights)
        run = Run.create(folder, None, f"{source.name}-{prepared.resolved.config.model.name}")
        start_folder(run, prepared)
        with closing(prepared):
            step = None if after_epoch is None else lambda training: after_epoch(training, prepared)
            prepared, training = train_network(run, prepared, world, began=began, after_epoch=step)
            if keeps:
                finish(run, prepared, training, prepared.loader.num_steps)
            else:
                seal(run, prepared, training)
    predictor = load(run.bundle)
    history = [dict(row) for row in training.state.history]
    return Fitted(predictor, run.bundle.read_bytes(), history, run.path if keeps else None)


def seal(run: Run, prepared: Prepared, training: Training) -> None:
    """Write the bundle of a run that is not measured."""
    model = training.result.cpu()
    predictor = Predictor(torch_backend(model), prepared.preprocess, prepared.task, model=model)
    if prepared.task.learns_decisions:
        logits = score_dataset(predictor, prepared.val, np.arange(len(prepared.val)))
        prepared.task.learn_decisions(logits, prepared.val.labels.cpu())
    seal_model(run, prepared, model, predictor, prepared.splits.val, {})


def open_bundle(content: bytes) -> Predictor:
    """The predictor of a bundle that is held in memory. Raises BundleError as `load` does."""
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory(prefix="neocog-") as folder:
        path = Path(folder) / "model.neocog"
        write_whole(path, content)
        return load(path)


@contextmanager
def raise_value_errors() -> Iterator[None]:
    """Errors about data and settings are ValueErrors within this block, as scikit-learn expects."""
    try:
        yield
    except (InputError, ParameterError):
        raise
    except (DataError, ConfigError, GeometryError, PlanError) as error:
        raise as_value_error(error) from error


def as_value_error(error: NeocogError) -> NeocogError:
    kind = ParameterError if isinstance(error, ConfigError) else InputError
    return kind(error.rule, received=error.received, where=error.where, fix=error.fix, kind=error.kind)
