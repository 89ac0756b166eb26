"""How fast this machine trains each candidate, from a few images, before any of them is tried."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neocog.auto.candidate import Candidate
from neocog.auto.compare import Trial
from neocog.auto.facts import Facts
from neocog.errors import NeocogError
from neocog.modalities.image.tta import tta_weights
from neocog.torch_private import has_mkldnn_bf16
from neocog.training.executor import Precision
from neocog.zoo import create_model, model_info
from neocog.zoo.config import OPTIONS

__all__ = ["MOST_SCORING", "Pace", "affordable", "fitted", "learns", "limited", "scoring_seconds", "time_candidate"]

IMAGES = 8
FEWEST_SAMPLES, FEWEST_EPOCHS = 30_000, 10
"""A network from scratch learns something from this many samples, or from a small set in this many epochs."""
UPDATES = 300
"""Steps below which a batch is too large for the time."""
FEWEST_BATCH, LARGE_BATCH = 32, 512
PARTS = 3
LOADING_SHARE, FEWEST_LOADED = 0.4, 100
SCORING = 0.4
"""Of the time of an image forward and backward, its time forward."""
MOST_SCORING, MOST_VIEWS = 0.5, 0.25
"""Of the seconds of training, what scoring the test split may take, and with test-time augmentation."""


class Pace(NamedTuple):
    """The fastest way to train a candidate on this CPU, with channels last."""

    seconds: float
    """In which one image goes forward and backward."""
    precision: Precision


def time_candidate(candidate: Candidate, facts: Facts) -> Pace | None:
    """How fast a candidate is trained at its size; None if that is not known here."""
    size = candidate.settings.get("image.size")
    if size is None:
        return None
    known = model_info(candidate.settings["model.name"]).options
    options = {key: candidate.settings[f"model.{key}"] for key in OPTIONS if f"model.{key}" in candidate.settings}
    channels = candidate.settings.get("image.channels", facts.channels)
    try:
        with torch.random.fork_rng(devices=[]):
            model = create_model(
                candidate.settings["model.name"],
                num_classes=facts.num_classes,
                in_channels=channels,
                **{key: value for key, value in options.items() if key in known},
            )
        model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        images = torch.zeros(IMAGES, channels, *size).to(memory_format=torch.channels_last)
        precisions: tuple[Precision, ...] = ("fp32", "bf16") if has_mkldnn_bf16() else ("fp32",)
        found = {precision: time_steps(model, images, precision == "bf16") for precision in precisions}
    except (NeocogError, RuntimeError):  # torch's, for images that are too small; its trial says why
        return None
    best = min(precisions, key=lambda precision: found[precision])
    return Pace(seconds=found[best], precision=best)


def time_steps(model: torch.nn.Module, images: Tensor, bf16: bool) -> float:
    """The same for a network and these images, the fastest of three."""
    found = []
    for _ in range(PARTS):
        begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(images).float().square().mean()
        loss.backward()
        found.append(time.perf_counter() - begin)
    return min(found) / len(images)


def learns(candidate: Candidate, pace: Pace | None, facts: Facts, seconds: float) -> bool:
    """Whether a candidate of this pace learns something in this time, and can score the test split."""
    if pace is not None and scoring_seconds(pace, facts) > MOST_SCORING * seconds:
        return False
    enough = min(FEWEST_SAMPLES, FEWEST_EPOCHS * facts.num_train)
    return candidate.transfer or pace is None or seconds / pace.seconds >= enough


def affordable(candidates: Sequence[Candidate], paces: Mapping[str, Pace], facts: Facts, seconds: float) -> list[int]:
    """The places of the candidates that learn something in this time; at least the fastest.

    A network with published weights needs few steps of fine-tuning, or none. But the time must suffice for the test
    split, too.
    """
    found = [
        place
        for place, candidate in enumerate(candidates)
        if learns(candidate, paces.get(candidate.name), facts, seconds)
    ]
    if found:
        return found
    return [min((p for p, one in enumerate(candidates) if one.name in paces), key=lambda p: paces[candidates[p].name])]


def scoring_seconds(pace: Pace, facts: Facts) -> float:
    """How long scoring the test split takes, about."""
    return SCORING * pace.seconds * facts.num_test


def fitted(candidate: Candidate, pace: Pace | None, seconds: float, facts: Facts) -> Candidate:
    """The candidate as it is trained here: in the fastest precision, and with a batch that leaves enough updates.

    Test-time augmentation is left out if the test split is too large for it.

    Muon's updates have one length whatever the batch, so the rate falls with the square root of its size, as the noise
    of the gradient grows.
    """
    if pace is None:
        return candidate
    speed: dict[str, Any] = {
        "speed.mode": "manual", "speed.precision": pace.precision, "speed.channels_last": True
    }  # fmt: skip
    why = f"{pace.precision} with channels last was fastest: {1 / pace.seconds:,.0f} images/s"
    reasons = {**candidate.reasons, **dict.fromkeys(speed, why)}
    settings = {**candidate.settings, **speed}
    views = len(tta_weights(settings.get("train.tta", "none")))
    if views > 1 and views * scoring_seconds(pace, facts) > MOST_VIEWS * seconds:
        settings["train.tta"] = "none"
        reasons["train.tta"] = f"{facts.num_test:,} test images are too many for it in this time"
    if not candidate.transfer and "train.batch_size" in settings:
        batch = settings["train.batch_size"]
        while batch > FEWEST_BATCH and batch > seconds / pace.seconds / UPDATES:
            batch //= 2
        settings["train.batch_size"] = batch
        settings["optimizer.lr"] = round(settings["optimizer.lr"] * (batch / LARGE_BATCH) ** 0.5, 5)
    return replace(candidate, settings=settings, reasons=reasons, image_seconds=pace.seconds)


def limited(candidate: Candidate, probe: Trial | None, seconds: float, facts: Facts) -> Candidate:
    """The candidate on no more training samples than can be decoded, and its head fitted to, in a share of its time.

    `probe` is the trial of its frozen features, which tells how long those of an image take; else its pace does.
    """
    cost = facts.decode_seconds
    if candidate.transfer:
        views = 2 if candidate.settings.get("augment.flip") else 1
        forward = SCORING * (candidate.image_seconds or 0.0)
        cost += views * (forward if probe is None or probe.error else probe.seconds / probe.samples)
    if cost * facts.num_train <= LOADING_SHARE * max(0.0, seconds):  # none may be left
        return candidate
    most = max(FEWEST_LOADED, int(LOADING_SHARE * seconds / cost))
    if most >= facts.num_train:
        return candidate
    reason = f"as many as can be prepared in {LOADING_SHARE:.0%} of the time"
    settings = {**candidate.settings, "data.limit": most}
    return replace(candidate, settings=settings, reasons={**candidate.reasons, "data.limit": reason})
