"""A probe: the frozen features of a network with weights of ImageNet, under a cross-validated linear head."""

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.auto.candidate import Candidate, with_candidate
from neocog.auto.compare import Trial
from neocog.auto.trials import failed, interval_of
from neocog.data import Opened
from neocog.errors import DataError, NeocogError
from neocog.progress import quiet
from neocog.rng import derive_seed
from neocog.runs import ResolvedConfig
from neocog.runs.prepare import Prepared, prepare
from neocog.training.distributed import World
from neocog.transfer import FeatureExtractor, fit_logistic

__all__ = ["run_probe"]

BATCH = 32
FEWEST = 96  # images below which cross-validation says nothing
DECODED_PER_SECOND = 300  # images that are decoded for a probe, for each of its seconds
SHARES = (0.25, 0.5, 1.0)  # of the images, for the learning curve
FITTING = 0.2  # of the time of a probe, for the head
EXTRACTING = 0.6  # of the time of a probe that is kept for features, however long preparation took


def run_probe(
    candidate: Candidate, place: int, seconds: float, *, base: ResolvedConfig, opened: Opened, world: World
) -> Trial:
    """Score a candidate's frozen features by cross-validation on as many training images as the seconds allow.

    `history` of the trial is the learning curve: images, and accuracy.
    """
    begin = time.monotonic()
    few = Candidate(candidate.name, {**candidate.settings, "model.head": "random"})
    resolved = with_candidate(base, few, f"candidate {candidate.name}")
    limit = max(2 * FEWEST, int(DECODED_PER_SECOND * seconds))
    if not base.config.data.limit or base.config.data.limit > limit:
        resolved = resolved.choose({"data.limit": (limit, "enough for a probe")})
    try:
        with quiet():
            prepared = prepare(resolved, world, data=opened, scored=1)
            return probe(candidate, place, prepared, begin, begin + seconds)
    except NeocogError as error:
        return failed(candidate, place, 0, time.monotonic() - begin, error)


def probe(candidate: Candidate, place: int, prepared: Prepared, begin: float, until: float) -> Trial:
    """The trial of a prepared candidate; `until` is the time at which the head should be fitted."""
    train, seed = prepared.train, prepared.resolved.config.train.seed
    order = np.random.default_rng(derive_seed(seed, "probe")).permutation(len(train))
    rows: list[NDArray[np.int64]] = []

    def batches() -> Iterator[Tensor]:
        """In random order, until most of the time is over."""
        for part in np.split(order, range(BATCH, len(order), BATCH)):
            if len(rows) * BATCH >= FEWEST and time.monotonic() > until - FITTING * (until - begin):
                return
            images, good = train.take(part)
            rows.append(part[good])
            yield images

    started = time.monotonic()
    until = max(until, started + (EXTRACTING + FITTING) * (until - begin))
    extractor = FeatureExtractor(prepared.model, prepared.preprocess.normalise)
    features = extractor.extract(batches(), len(order))
    spent = time.monotonic() - started
    labels, count = train.labels[np.concatenate(rows)].numpy(), len(features)
    curve, fitting = learning_curve(features, labels, len(prepared.task.classes))
    low, high = interval_of(curve[-1][1], count, prepared.task)
    return Trial(
        name=f"{candidate.name}, frozen", candidate=place, rung=0, seconds=spent + fitting,
        total_seconds=time.monotonic() - begin, value=curve[-1][1], low=low, high=high, samples=count, scored=count,
        by="cross-validation", history=curve,
    )  # fmt: skip


def learning_curve(
    features: Tensor, labels: NDArray[np.int64], num_classes: int
) -> tuple[list[tuple[float, float]], float]:
    """Cross-validated accuracy by the number of samples, and the seconds of the last fit; (N, D), (N,).

    The numbers are a quarter, half, and all of them.
    """
    curve, seconds = [], 0.0
    for share in SHARES:
        num = round(share * len(features))
        try:
            found = fit_logistic(features[:num], labels[:num], num_classes)
        except DataError:  # too few of each class to hold any out
            continue
        curve.append((float(num), found.cv_accuracy.value))
        seconds = found.seconds
    if not curve:
        raise DataError("A probe needs a class with at least two images.", received="none")
    return curve, seconds
