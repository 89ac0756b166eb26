"""Engines of one network, timed side by side on this machine and compared on data."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.bundle import Predictor, load
from neocog.bundle.load_bundle import decode_golden_samples
from neocog.bundle.use_engine import workshop_of
from neocog.engines.choose import BATCHES, SECONDS, Choice, Judge, Trial, choose_engine
from neocog.engines.engine import Backend
from neocog.engines.make_engine import ENGINES, INT8_ENGINES, NAMES, check_name
from neocog.engines.store import environment
from neocog.errors import ConfigError, DataError, NeocogError, some
from neocog.evaluation.intervals import without_intervals
from neocog.loading import load_in_memory
from neocog.planning import measure_machine, plan
from neocog.progress import note
from neocog.runs.channels import match_channels
from neocog.runs.evaluate_bundle import Chosen, Reading, choose_samples, choose_validation
from neocog.tasks import DenseTask

__all__ = ["EngineBench", "bench"]

SAMPLES, CALIBRATION, DENSE = 512, 256, 48
"""Samples that engines are compared on and quantised with; views of a dense task, whose outputs are large."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineBench:
    """Figures of each engine side by side, and the one that is taken."""

    bundle: str
    data: str
    """The data set and its split; or golden samples."""
    metric: str
    """The metric that `Trial.lost` is about; or decisions."""
    choice: Choice
    threads: int
    macs: int
    """Multiplications with addition for one input."""
    flops: dict[str, float]
    """Measured peaks of this machine in floating-point operations a second, by precision: of a product of matrices, or
    of an engine that was faster."""
    remembered: bool
    """Whether `backend="auto"` takes this choice from now on."""
    environment: dict[str, Any]

    @property
    def trials(self) -> tuple[Trial, ...]:
        return self.choice.trials

    def floor(self, name: str) -> float | None:
        """The seconds for an input at the peak of this machine; None for int8, of which no peak is measured."""
        kind = ENGINES[name]
        precision = "bf16" if kind.needs_bf16 else "fp32"
        return None if kind.int8 else 2 * self.macs / self.flops[precision]

    def speedup(self, trial: Trial) -> float:
        """How many times as fast as eager PyTorch, each at its best batch size."""
        (eager,) = (each for each in self.trials if each.name == "eager")
        return trial.per_second / eager.per_second

    def to_json(self) -> dict[str, Any]:
        """All of it, for a program."""
        rows = self.choice.to_json()["trials"]
        for row, trial in zip(rows, self.trials, strict=True):
            row |= {"floor": self.floor(trial.name), "speedup": self.speedup(trial), "within": trial.within}
            row["error"] = None if row["error"] == float("inf") else row["error"]
        about = {name: value for name, value in asdict(self).items() if name not in ("choice", "environment")}
        return {**about, **self.environment, "fastest": self.choice.name, "batch": self.choice.batch, "engines": rows}


def bench(
    bundle: str | Path | Predictor,
    data: object = None,
    *,
    int8: bool = False,
    engines: Sequence[str] | None = None,
    batches: Sequence[int] = BATCHES,
    seconds: float = SECONDS,
    samples: int = SAMPLES,
    threads: int | None = None,
    **reading: Unpack[Reading],
) -> EngineBench:
    """Time the engines that can compute a network, side by side, and remember the fastest within its tolerance.

    Answers are compared with those of eager PyTorch on `samples` samples of `data`, by the headline metric of the task;
    without data on the bundle's golden samples, by the decisions that change. `reading` is as for `evaluate`, but by
    default validation samples are compared.
    With `int8` the network is quantised, too, with samples of the training split, or with those that are not compared;
    the quantised network is remembered. `engines` are the names to measure, by default all; the fastest of some of them
    is not remembered. `threads` is by default one for each core.
    Raises ConfigError for int8 without data, for names that no engine has, and for batch sizes or times that are not
    above 0; what `evaluate` raises for data.
    """
    check_options(data, int8, engines, batches, seconds)
    predictor = bundle if isinstance(bundle, Predictor) else load(bundle)
    workshop = workshop_of(predictor, threads)
    names: Sequence[str] | None = engines if engines is not None else NAMES if int8 else None
    quantises = int8 or bool({*(engines or ())} & {*INT8_ENGINES})
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(workshop.threads)
    try:
        prepared = prepare(bundle, predictor, data, samples, int8=quantises, **reading)
        choice = choose_engine(
            workshop, predictor.task, prepared.decoded, names=names, calibration=prepared.calibration,
            judge=prepared.judge, batches=batches, seconds=seconds, keep=engines is None,
        )  # fmt: skip
    finally:
        torch.set_num_threads(torch_threads)
    assert predictor.model is not None
    if too_large := [batch for batch in batches if batch > len(prepared.decoded)]:
        note(f"batches of {some(too_large)} were not tried, as there are {len(prepared.decoded):,} samples")
    network = workshop.network
    macs = plan(predictor.model, network.shape, dtype=None if network.tokens is None else torch.int64).macs
    return EngineBench(
        bundle=str(bundle) if isinstance(bundle, str | Path) else type(predictor.model).__name__, data=prepared.name,
        metric=prepared.metric, choice=choice, threads=workshop.threads, macs=macs,
        flops=peaks(choice, macs), remembered=engines is None, environment=environment(workshop.threads),
    )  # fmt: skip


def peaks(choice: Choice, macs: int) -> dict[str, float]:
    """The peaks of this machine by precision, none lower than what an engine reached."""
    found = dict(measure_machine().flops)
    for trial in choice.trials:
        kind = ENGINES[trial.name]
        if not kind.int8:
            precision = "bf16" if kind.needs_bf16 else "fp32"
            found[precision] = max(found[precision], 2 * macs * trial.per_second)
    return found


def check_options(
    data: object, int8: bool, engines: Sequence[str] | None, batches: Sequence[int], seconds: float
) -> None:
    """Raises ConfigError for options that are wrong whatever the bundle."""
    for name in engines or ():
        check_name(name)
    if data is None and (int8 or {*(engines or ())} & {*INT8_ENGINES}):
        raise ConfigError(
            "A network is quantised with samples of its data.", received="--int8 without --data",
            fix="Add --data DATA: the data set it was trained on.",
        )  # fmt: skip
    if not batches or min(batches) < 1:
        raise ConfigError("Batch sizes are at least 1.", received=", ".join(map(str, batches)) or "none")
    if not 0 < seconds < math.inf:
        raise ConfigError("Engines are timed for more than 0 seconds.", received=f"{seconds:g}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The inputs that engines are measured with."""

    name: str
    metric: str
    decoded: Tensor
    calibration: Tensor | None
    judge: Judge | None


def prepare(
    bundle: str | Path | Predictor, predictor: Predictor, data: object, samples: int, *, int8: bool,
    **reading: Unpack[Reading],
) -> Prepared:  # fmt: skip
    """Decoded inputs, and how answers are judged: by the metric if there is data, else by decisions."""
    if data is None:
        if isinstance(bundle, Predictor):
            raise ConfigError("A predictor is measured with data.", received="none", fix="Give data, or a bundle.")
        decoded = decode_golden_samples(bundle, predictor.preprocess)
        return Prepared("golden samples", "decisions", decoded, None, None)
    choose = choose_validation if reading.get("split") is None else choose_samples
    chosen = choose(predictor, data, **reading)
    source = match_channels(chosen.source, predictor.preprocess)
    part = spread_out(chosen.indices, samples)
    chosen = Chosen(source, part, chosen.split)
    calibration = None
    if int8:
        calibration = decode_inputs(predictor, calibration_records(predictor, data, chosen, reading))
    decoded = decode_inputs(predictor, chosen)
    judge, metric = metric_judge(predictor, chosen)
    return Prepared(f"{source.name}, {chosen.split}", metric, decoded, calibration, judge)


def spread_out(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most this many of the indices, evenly spread."""
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).astype(np.int64)]


def calibration_records(predictor: Predictor, data: object, chosen: Chosen, reading: Reading) -> Chosen:
    """Records of the training split; without one, of those that are not compared, or else these."""
    train_reading = reading.copy()
    train_reading["split"] = "train"
    try:
        train = choose_samples(predictor, data, **train_reading)
        return Chosen(
            match_channels(train.source, predictor.preprocess), spread_out(train.indices, CALIBRATION), train.split
        )
    except DataError:
        every = np.arange(len(chosen.source))
        rest = np.setdiff1d(every, chosen.indices)
        return Chosen(chosen.source, spread_out(rest if len(rest) else every, CALIBRATION), "all")


def decode_inputs(predictor: Predictor, chosen: Chosen) -> Tensor:
    """Decoded inputs (N, *shape) of these records; of a dense task, the first view of each."""
    preprocess, source, indices = predictor.preprocess, chosen.source, chosen.indices
    if not isinstance(predictor.task, DenseTask):
        return load_in_memory(source, indices, preprocess).inputs
    records = [source.read(index) for index in spread_out(indices, DENSE).tolist()]
    return torch.stack([next(iter(preprocess.views(record.payload, record.key))).inputs for record in records])


def metric_judge(predictor: Predictor, chosen: Chosen) -> tuple[Judge, str]:
    """A judge that knows the metric of eager PyTorch on these samples, and the metric's name."""
    task, keys = predictor.task, chosen.keys
    targets = task.match_targets(chosen.source, chosen.indices)

    def scored(backend: Backend, logits: Tensor) -> Any:
        if not task.dense:
            return logits.numpy()
        return predictor.with_backend(backend).compare_records(chosen.source, chosen.indices, label="comparing")

    def measure(found: Any) -> tuple[str, float, bool]:
        with without_intervals():
            metrics = task.evaluate(found, targets, keys, data="", split="").metrics
        name, estimate = next(iter(metrics.items()))
        return name, estimate.value, estimate.is_share

    eager: list[tuple[str, float, bool]] = []
    if task.dense:
        eager.append(measure(predictor.compare_records(chosen.source, chosen.indices, label="comparing")))
    else:
        eager.append(measure(predictor.logits_of(chosen.source, chosen.indices)))
    name, value, is_share = eager[0]
    sign = -1 if task.criterion.mode == "min" and task.criterion.metric == name else 1

    def judge(backend: Backend, logits: Tensor) -> float | None:
        try:
            other = measure(scored(backend, logits))[1]
        except NeocogError:
            return None
        lost = sign * (value - other) * 100
        return lost if is_share else lost / max(abs(value), 1e-12)

    return judge, name
