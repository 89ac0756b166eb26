"""The fastest engine within the tolerance, on this machine, for one network.

An engine is judged by its logits, beside those of eager PyTorch on the same decoded inputs: the largest difference as
a share of the logits' spread, and how much of the metric it loses, or, without targets, how many decisions it changes.
Of those within the tolerance of their kind (`ENGINES`), the one with the highest throughput is taken and remembered.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import psutil
import torch
from torch import Tensor

from neocog.engines.engine import Backend, compute_logits
from neocog.engines.kept import Workshop, largest_error
from neocog.engines.make_engine import ENGINES, FLOAT_ENGINES, INT8_ENGINES, missing_reason
from neocog.engines.measure import Case, Timing, best_cases, time_in_turns
from neocog.errors import NeocogError
from neocog.progress import track
from neocog.tasks import Task

__all__ = ["BATCHES", "Choice", "Judge", "Trial", "choose_engine", "disagreement", "remembered_choice"]

BATCHES = (1, 4, 16, 32)
"""The batch sizes that are tried."""
SECONDS = 8.0
"""For timing the engines once their best batch sizes are known."""

ENOUGH = 100
"""Samples from which on one of them may be lost."""

OUTLIERS = 1e-3
"""The share of a map's logits whose rounding in bfloat16 may be large: it has millions, and the metric counts them."""

Judge = Callable[[Backend, Tensor], float | None]
"""An engine and its logits for the samples -> percentage points that it loses; None if that can't be said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """All that is known of one engine."""

    name: str
    reason: str = ""
    """Why it can't be taken; empty if it can."""
    batch: int = 0
    """The batch size with the highest throughput."""
    per_second: float = 0.0
    p50: float = 0.0
    """The median time of a batch of one, in seconds."""
    p99: float = 0.0
    load_seconds: float = 0.0
    """Until the engine has computed its first batch."""
    memory: int = 0
    """Bytes that this process grew by meanwhile, with eager PyTorch in memory already."""
    error: float | None = None
    """The largest difference of a logit, as a share of the logits' spread; see `OUTLIERS`."""
    lost: float | None = None
    """Percentage points of the metric that it loses, or of decisions that it changes."""
    backend: Backend | None = field(default=None, compare=False, repr=False)

    @property
    def within(self) -> bool:
        """Whether it can be taken."""
        return not self.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The engine that is taken, at which batch size, and what was measured of each."""

    name: str
    batch: int
    num_samples: int
    trials: tuple[Trial, ...] = ()

    def to_json(self) -> dict[str, Any]:
        names = [each.name for each in fields(Trial) if each.name != "backend"]
        return {
            "name": self.name, "batch": self.batch, "num_samples": self.num_samples,
            "trials": [{name: getattr(trial, name) for name in names} for trial in self.trials],
        }  # fmt: skip


def choose_engine(
    workshop: Workshop,
    task: Task,
    decoded: Tensor,
    *,
    names: Sequence[str] | None = None,
    calibration: Tensor | None = None,
    judge: Judge | None = None,
    batches: Sequence[int] = BATCHES,
    seconds: float = SECONDS,
    keep: bool = True,
) -> Choice:
    """Measure engines on decoded inputs (N, *shape) and take the fastest within its tolerance.

    `names` are by default all engines in floating point, and those in int8 whose graphs are remembered; others in int8
    need a `calibration` sample. `judge` knows the metric; by default the share of decisions that change counts. With
    `keep` the choice is remembered for this network, shape, processor, number of threads and versions.
    """
    if names is None:
        names = [*FLOAT_ENGINES, *(name for name in INT8_ENGINES if workshop.has_quantised(name))]
    eager = workshop.build("eager")
    normalise = workshop.preprocess.normalise
    expected = compute_logits(eager, normalise, decoded)
    trials: dict[str, Trial] = {}
    for name in track(dict.fromkeys(["eager", *names]), "building engines"):
        trials[name] = try_engine(
            workshop,
            name,
            decoded,
            expected,
            calibration,
            judge or decisions_judge(task, expected),
            outliers=OUTLIERS if task.dense and not task.row_per_object else 0.0,
        )
    timings = time_trials(trials, normalise, decoded, batches, seconds)
    done = tuple(with_times(trial, timings) for trial in trials.values())
    best = max((trial for trial in done if trial.within), key=lambda trial: trial.per_second)
    choice = Choice(name=best.name, batch=best.batch, num_samples=len(decoded), trials=done)
    if keep:
        content = json.dumps({"name": choice.name, "batch": choice.batch}).encode()
        workshop.store.write("choice", workshop.about, content)
    return choice


def remembered_choice(workshop: Workshop) -> Choice | None:
    """The choice that was made before for this network on this machine, if this machine can still run it."""
    content = workshop.store.read("choice", workshop.about)
    if content is None:
        return None
    try:
        found = json.loads(content)
        name, batch = str(found["name"]), int(found["batch"])
    except (ValueError, KeyError, TypeError):
        return None
    if name not in ENGINES or batch < 1 or missing_reason(name):
        return None
    return Choice(name=name, batch=batch, num_samples=0)


def try_engine(
    workshop: Workshop, name: str, decoded: Tensor, expected: Tensor, calibration: Tensor | None, judge: Judge,
    *, outliers: float = 0.0,
) -> Trial:  # fmt: skip
    """Build an engine and compare its logits with the expected ones; `outliers` are let pass in bfloat16."""
    if reason := missing_reason(name):
        return Trial(name=name, reason=reason)
    before, began = psutil.Process().memory_info().rss, time.perf_counter()
    try:
        backend = workshop.build(name, calibration if ENGINES[name].int8 else None)
        compute_logits(backend, workshop.preprocess.normalise, decoded[:1])
        load_seconds = time.perf_counter() - began
        found = compute_logits(backend, workshop.preprocess.normalise, decoded)
    except NeocogError as error:
        return Trial(name=name, reason=error.received or str(error))
    grown = max(psutil.Process().memory_info().rss - before, 0)
    gap = largest_error(found, expected, outliers if ENGINES[name].needs_bf16 else 0.0)
    lost = judge(backend, found) if gap < float("inf") else None
    trial = Trial(name=name, load_seconds=load_seconds, memory=grown, error=gap, lost=lost, backend=backend)
    return trial if name == "eager" else replace(trial, reason=tolerance_reason(trial, len(decoded)))


def tolerance_reason(trial: Trial, num_samples: int) -> str:
    """Why the answers of an engine are too far from those of eager PyTorch; empty if they are not.

    Of 100 samples or more, one may be lost: fewer points than that can't be told from none.
    """
    kind = ENGINES[trial.name]
    assert trial.error is not None
    if trial.error > kind.rounding or trial.error == float("inf"):
        return f"logits differ by {trial.error:.2g} of their spread, more than {kind.rounding:g}"
    if trial.lost is None and kind.int8:
        return "int8 is taken by a metric; give data with --data"
    allowed = max(kind.points, 100 / num_samples if num_samples >= ENOUGH else 0.0)
    if trial.lost is not None and trial.lost > allowed + 1e-9:
        return f"loses {trial.lost:.2f} points, more than {allowed:.2g}"
    return ""


def decisions_judge(task: Task, expected: Tensor) -> Judge:
    """Without targets: the share of decisions that change, in percentage points."""
    return lambda _, found: disagreement(task, found, expected)


def disagreement(task: Task, found: Tensor, expected: Tensor) -> float | None:
    """The percentage of decisions that differ between two sets of logits; None for a task without decisions."""
    pair = [decide(task, logits) for logits in (found, expected)]
    if pair[0] is None or pair[1] is None:
        return None
    return 100 * float((pair[0] != pair[1]).double().mean())


def decide(task: Task, logits: Tensor) -> Tensor | None:
    """The decision for each input or place: the class, or whether each label holds; None for numbers and boxes."""
    if not (task.has_probabilities or task.dense) or task.row_per_object:
        return None
    probs = task.decode(logits)
    exclusive = torch.allclose(probs.sum(dim=1), torch.ones((), dtype=probs.dtype), atol=1e-6)
    return probs.argmax(dim=1) if exclusive else probs >= 0.5


def time_trials(
    trials: Mapping[str, Trial], normalise: Callable[[Tensor], Tensor], decoded: Tensor, batches: Sequence[int],
    seconds: float,
) -> dict[Case, Timing]:  # fmt: skip
    """Times of all engines that could be built, at a batch of one and at their best batch size."""
    sizes = sorted({1, *(batch for batch in batches if batch <= len(decoded))})
    usable = [trial for trial in trials.values() if trial.backend is not None]

    def call(trial: Trial, batch: int) -> Callable[[], object]:
        backend, part = trial.backend, decoded[:batch]
        assert backend is not None
        if hasattr(backend, "batch"):
            backend.batch = max(batch, getattr(backend, "batch", 1))
        return lambda: compute_logits(backend, normalise, part)

    first = time_in_turns({(t.name, b): call(t, b) for t in usable for b in sizes}, 0.0, label="finding batch sizes")
    best = best_cases(first)
    cases = {(t.name, b): call(t, b) for t in usable for b in {1, best[t.name]}}
    return time_in_turns(cases, seconds)


def with_times(trial: Trial, timings: Mapping[Case, Timing]) -> Trial:
    own = {batch: timing for (name, batch), timing in timings.items() if name == trial.name}
    if not own:
        return trial
    best = max(own.values(), key=lambda timing: timing.per_second)
    if trial.backend is not None and hasattr(trial.backend, "batch"):
        trial.backend.batch = best.batch
    return replace(
        trial, batch=best.batch, per_second=best.per_second, p50=own[1].latency(50), p99=own[1].latency(99)
    )  # fmt: skip
