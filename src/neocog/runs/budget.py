"""A run within `train.minutes`: how many epochs fit, and the clock that the loop follows."""

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neocog.errors import agree
from neocog.files import write_whole
from neocog.loading import InMemoryDataset
from neocog.modalities.image.tta import tta_weights
from neocog.modalities.table import MODALITIES
from neocog.progress import note
from neocog.runs.config import ResolvedConfig
from neocog.runs.folder import Run
from neocog.runs.prepare import Prepared
from neocog.runs.provenance import SetBy
from neocog.training import Clock, State, make_optimizer
from neocog.training.clock import TARGET
from neocog.training.distributed import World, broadcast_json, on_first
from neocog.training.progressive import mean_work
from neocog.training.speed import PLAIN, Candidate, Decision
from neocog.training.speed.choose import milliseconds
from neocog.training.speed.measure import ModelBench
from neocog.training.state import hidden_parameters

__all__ = [
    "LEAST_TRAINING",
    "Pace",
    "has_clock",
    "make_clock",
    "measure_pace",
    "num_affordable",
    "plan_epochs",
    "report_seconds",
    "warn_of_short_budget",
]

REPORT_SECONDS, REPORT_SHARE = 4.0, 0.2  # for the bundle, the report and the import of matplotlib; of a short budget
LEAST_TRAINING = 0.25  # of the budget, that training gets even if what comes before it took too long
FORWARD_SHARE = 1 / 3  # of a step: the backward pass takes twice the time of the forward pass
SCORING_SHARE = 0.5  # of a step, to score as many samples; more, since steps may be in a lower precision
FEWEST, PARTS = 4, 16  # samples of a batch whose step is timed first, on a CPU: a sixteenth of it, or four
MEASURING = 0.02  # of the budget, that timing whole steps may take
NUM_DECODED = 8  # samples whose decoding is timed
SCALED = ("schedule.warmup_epochs", "schedule.step_epochs", "schedule.restart_epochs")


def report_seconds(budget: float) -> float:
    """Seconds of a budget that are kept for what follows training.

    >>> report_seconds(600.0), report_seconds(10.0)
    (4.0, 2.0)
    """
    return min(REPORT_SECONDS, REPORT_SHARE * budget)


def has_clock(resolved: ResolvedConfig) -> bool:
    """Whether the run follows a clock; one whose steps are written down repeats them instead."""
    return resolved.config.train.minutes is not None and resolved.config.train.replanned is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """Measured seconds, before training."""

    batch: float
    """To gather and augment a batch."""
    step: float
    """Of a step in plain float32."""
    test: float
    """To score a test sample where validation does not tell: on another device, or with decoding; else 0."""


def measure_pace(prepared: Prepared, world: World) -> Pace | None:
    """How fast this machine trains, as the first process finds by a few real steps; None if the run has no clock."""
    if not has_clock(prepared.resolved):
        return None
    found = on_first(lambda: time_pace(prepared), world)
    return Pace(**broadcast_json(found, world))


def time_pace(prepared: Prepared) -> dict[str, float]:
    """The fields of a Pace. The network is left as it was, and the loader has its first block."""
    loader, config = prepared.loader, prepared.resolved.config
    steps = min(loader.steps_per_block, loader.num_steps)
    begin = time.monotonic()
    images, labels = loader.batch(0, 0)
    batch = time.monotonic() - begin
    if isinstance(prepared.train, InMemoryDataset):  # the first call took longer
        begin = time.monotonic()
        loader.gather(0, 0)
        batch = min(batch, time.monotonic() - begin)
    assert config.train.minutes is not None
    part = max(FEWEST, len(images) // PARTS) if images.device.type == "cpu" else len(images)
    step = time_steps(prepared, images[:part], labels[:part])
    if part < len(images):
        twice = time_steps(prepared, images[: 2 * part], labels[: 2 * part])
        step = whole_step(step, twice, len(images) / part)
    if part < len(images) and 3 * step < MEASURING * 60 * config.train.minutes:
        step = time_steps(prepared, images, labels)
    return {"batch": batch / steps, "step": step, "test": time_test_sample(prepared, images)}


def whole_step(once: float, twice: float, parts: float) -> float:
    """Seconds of a step on a batch of N parts, from those on one part and on two.

    The update of the weights takes as long for a part as for a whole batch, which is most of the time if a network has
    large tables. Timings err, so at least a quarter of the time counts as that of the samples.

    >>> [round(whole_step(0.01, twice, 16), 4) for twice in (0.01, 0.014, 0.02, 0.03)]
    [0.0475, 0.07, 0.16, 0.16]
    """
    each = max(twice - once, once / 4)
    return min(once * parts, once + (parts - 1) * each)


def time_steps(prepared: Prepared, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Seconds of a step on these inputs, the faster of two after a first one."""
    optimizer = prepared.resolved.config.optimizer
    bench = ModelBench(
        prepared.model,
        images,
        labels,
        prepared.task.loss,
        lambda other: make_optimizer(other, optimizer, hidden_parameters(other)),
    )
    with torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
        bench.begin(PLAIN)
        times = []
        for _ in range(3):
            begin = bench.now()
            bench.take_step()
            times.append(bench.now() - begin)
    return min(times[1:])


def time_test_sample(prepared: Prepared, images: torch.Tensor) -> float:
    """Seconds for a test sample that the time of a validation does not include, found on other samples."""
    seconds, views = 0.0, len(tta_weights(prepared.resolved.config.train.tta))
    if images.device.type != "cpu":  # the test split is scored on the CPU
        some = images[:16].cpu()
        model = copy.deepcopy(prepared.model).cpu().eval()
        with torch.inference_mode():
            model(some)
            begin = time.monotonic()
            model(some)
        seconds += views * (time.monotonic() - begin) / len(some)
    if prepared.test is None and isinstance(prepared.val, InMemoryDataset) and len(prepared.splits.test):
        indices = prepared.splits.val[np.linspace(0, len(prepared.splits.val) - 1, NUM_DECODED).astype(int)]
        begin = time.monotonic()
        for index in indices.tolist():
            prepared.preprocess.decode(prepared.source.read(index).payload, prepared.source.key(index))
        seconds += (time.monotonic() - begin) / len(indices)
    return seconds


def make_clock(
    prepared: Prepared,
    pace: Pace | None,
    *,
    decision: Decision | None,
    world: World,
    began: float,
    used: float = 0.0,
    is_trial: bool = False,
    begins: bool = True,
) -> Clock | None:
    """The clock of a run that began at this time by `time.monotonic`; None for a run without one.

    `used` are seconds of its budget from before; a trial needs no time for what follows training. Training that begins
    gets `LEAST_TRAINING` of the budget even if that is more than is left.
    Without a pace, as in a resumed run, steps are measured once they are taken.
    """
    if not has_clock(prepared.resolved):
        return None
    config, splits = prepared.resolved.config.train, prepared.splits
    assert config.minutes is not None
    num_test = len(splits.test) or len(splits.val)
    views = len(tta_weights(config.tta)) if prepared.source.modality == "image" else 1
    # Validation data say whether test-time augmentation is used, and set thresholds.
    scores_val = views > 1 or prepared.task.learns_decisions or config.calibrate
    num_scored = views * (num_test + (len(splits.val) if scores_val else 0))
    on_cpu = prepared.device.type == "cpu"
    clock = Clock(
        budget=60 * config.minutes,
        began=began,
        used=used,
        most_steps=config.most_epochs and config.most_epochs * prepared.loader.num_steps,
        reserve=0.0 if is_trial else report_seconds(60 * config.minutes) + (num_test * pace.test if pace else 0.0),
        # Several processes share a validation; the first alone scores the test split.
        test_share=num_scored * world.size / max(1, len(splits.val)) if on_cpu and not is_trial else 0.0,
    )
    if begins and not is_trial:
        clock.earliest = clock.elapsed + LEAST_TRAINING * clock.budget
    if clock.test_share and isinstance(prepared.val, InMemoryDataset):  # else decoding takes its time, too
        clock.test_steps = SCORING_SHARE * num_scored / config.batch_size
    if pace is not None:
        step = step_seconds(pace, decision)
        clock.step_seconds = pace.batch + step
        clock.validation_seconds = FORWARD_SHARE * step * len(splits.val) / config.batch_size
    return clock


def step_seconds(pace: Pace, decision: Decision | None) -> float:
    """Seconds of a step as it was decided, without its batch."""
    if decision is None:
        return pace.step
    name = Candidate(decision.precision, decision.channels_last, decision.compiled, decision.native).name
    return decision.timings.get(name, pace.step)


def num_affordable(clock: Clock, prepared: Prepared) -> int:
    """Steps that fit into the time that is left, before training."""
    share, shape = prepared.resolved.config.train.progressive, prepared.preprocess.shape
    work = mean_work((shape[1], shape[2]), share, 0.0) if share else 1.0
    left, seconds = clock.target - clock.elapsed, (clock.step_seconds or 1.0) * work
    return clock.fit_steps(State(), left, seconds, prepared.loader.num_steps)


def plan_epochs(run: Run, prepared: Prepared, clock: Clock | None, world: World) -> Prepared:
    """Choose the number of epochs by the time, and note it in `config.yaml`; a number that was chosen stays.

    What a schedule counts in epochs, such as its warm-up, changes by the same factor, unless the user has set it. The
    phases of a sequence say how many epochs there are; the clock then shortens or stretches them all.
    """
    resolved = prepared.resolved
    settled = resolved.provenance["train.epochs"].by is SetBy.CHOSEN or resolved.config.schedule.name == "sequence"
    if clock is None or settled or clock.step_seconds is None:
        return prepared
    steps = prepared.loader.num_steps
    epochs = broadcast_json(-(-num_affordable(clock, prepared) // steps), world)
    most = resolved.config.train.most_epochs
    enough = most is not None and epochs > most
    epochs = most if most is not None and enough else epochs
    factor = epochs / resolved.config.train.epochs
    rate = resolved.config.train.batch_size / clock.step_seconds
    plural = MODALITIES[prepared.source.modality].plural
    reason = f"{milliseconds(clock.step_seconds)} a step, {rate:,.0f} {plural}/s"
    resolved = resolved.choose(
        {
            "train.epochs": (
                epochs,
                "more gain nothing: train.most_epochs"
                if enough
                else f"what fits into {resolved.config.train.minutes:g} min at {reason}",
            ),
            **scaled(resolved, factor),
        }
    )
    if world.first:
        write_whole(run.config, resolved.to_yaml())
    length = agree("{n} epoch(|s)", epochs)
    if enough:
        note(f"time: {length}, after which nothing more is to be gained (train.most_epochs), at {reason}")
    else:
        note(f"time: about {length} in {resolved.config.train.minutes:g} min, at {reason}")
    return replace(prepared, resolved=resolved)


def warn_of_short_budget(clock: Clock | None, state: State, epoch_steps: int) -> None:
    """Warn after training if it had no time for a whole epoch, or began too late to end in time.

    The warning names a budget that suffices, if this machine stays as fast.
    """
    if clock is None or not clock.earliest:
        return
    kept = clock.budget - clock.in_time / TARGET
    late = clock.earliest + clock.validation_seconds + kept > clock.budget
    if state.step >= epoch_steps and not late:
        return
    least = LEAST_TRAINING * clock.budget
    used = clock.earliest - least
    whole = used + epoch_steps * (clock.seconds_per_step() or 0.0) + clock.validation_seconds
    late_kept = kept + clock.validation_seconds
    needed = max(whole / TARGET + kept, (used + late_kept) / (1 - LEAST_TRAINING))
    trained = f"{state.step:,} of the {epoch_steps:,} steps of an epoch" if state.step < epoch_steps else "too short"
    note(
        f"warning: {clock.budget / 60:g} min are too few: training was {trained}. {used:.1f} of {clock.budget:.0f} s "
        f"were used before it, and {kept:.1f} s are for what follows it. "
        + (f"It had {least:.1f} s all the same, so the run may end late. " if late else "")
        + f"Set --minutes {math.ceil(needed / 6) / 10:g} or more."
    )


def scaled(resolved: ResolvedConfig, factor: float) -> Mapping[str, tuple[Any, str]]:
    """Settings in epochs that the user has not set, for a run that is longer by this factor."""
    found: dict[str, tuple[Any, str]] = {}
    active = {key: value for key, value, _ in resolved.rows()}
    for key in SCALED:
        if active.get(key) and not resolved.set_by_user(key):
            found[key] = (max(0.001, round(active[key] * factor, 4)), f"the same share of the run as {active[key]:g}")
    freeze = resolved.config.train.freeze_epochs
    if freeze and factor < 1 and not resolved.set_by_user("train.freeze_epochs"):
        found["train.freeze_epochs"] = (int(freeze * factor), f"at most the same share of the run as {freeze}")
    return found
