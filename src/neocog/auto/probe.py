"""A probe: the frozen features of a network with weights of ImageNet, under a cross-validated linear head."""

import time
from dataclasses import replace

import numpy as np
import torch

from neocog.auto.candidate import Candidate, with_candidate
from neocog.auto.compare import Trial
from neocog.auto.trials import failed, interval_of
from neocog.data import Opened
from neocog.errors import NeocogError
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
SHARES = (0.25, 0.5)  # of the images, for the learning curve


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
    train = prepared.train
    rng = np.random.default_rng(derive_seed(prepared.resolved.config.train.seed, "probe"))
    order = rng.permutation(len(train))
    extractor = FeatureExtractor(prepared.model)
    parts, rows = [], []
    started = time.monotonic()
    for part in np.split(order, range(BATCH, len(order), BATCH)):
        images, good = train.take(np.sort(part))
        parts.append(extractor(prepared.preprocess.normalise(images)))
        rows.append(np.sort(part)[good])
        if len(rows) * BATCH >= FEWEST and time.monotonic() + 0.2 * (until - begin) >= until:
            break
    spent = time.monotonic() - started
    features, labels = torch.cat(parts), train.labels[np.concatenate(rows)]
    count = len(features)
    curve = []
    for share in (*SHARES, 1.0):
        num = round(share * count)
        found = fit_logistic(features[:num], labels[:num], len(prepared.task.classes))
        curve.append((float(num), found.cv_accuracy.value))
    low, high = interval_of(curve[-1][1], count, prepared.task)
    return Trial(
        name=f"{candidate.name}, frozen", candidate=place, rung=0, seconds=spent,
        total_seconds=time.monotonic() - begin, value=curve[-1][1], low=low, high=high, samples=count, scored=count,
        by="cross-validation", history=curve, step_seconds=spent / count * BATCH,
    )  # fmt: skip
