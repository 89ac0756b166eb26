"""The candidates for images, from small to large.

Two families. From scratch: the network of CIFAR's speed records, which learns fastest of those that we measured on
small images, in three sizes; as many groups as leave a map of about 4x4 at the end. With weights of ImageNet:
EfficientNet-Lite, its head fitted to frozen features first, then all of it fine-tuned at a small rate (Kumar et al.
2022). Which family wins depends on the number of images and on the time, so both race.
"""

import math
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from neocog.auto.candidate import Candidate
from neocog.auto.facts import Facts

__all__ = ["image_candidates", "scratch", "transfer"]

NATIVE = range(16, 49)  # sides of images that keep their size
SIDES = (32, 64, 96, 128)  # of larger ones, for networks from scratch
TRANSFER_SIDES = (128, 192, 96)  # of images for networks that were trained on ImageNet
LEAST_TRANSFER = 96  # smaller images are enlarged to it
FEWEST_BATCH, MOST_BATCH = 32, 512
STEPS = 60  # an epoch has at least about this many steps, so that small sets are not trained in large batches
HALVINGS = {32: 3, 64: 4, 96: 4, 128: 5}
"""Side of an image -> how often its sides are halved before the last pooling."""
WIDTHS = {
    "narrow": {3: (32, 64, 128), 2: (32, 64), 4: (32, 64, 128, 256)},
    "medium": {3: (64, 128, 128), 2: (64, 128), 4: (32, 64, 128, 256)},
    "wide": {3: (64, 256, 256), 2: (64, 256), 4: (64, 128, 256, 256)},
}


def image_candidates(facts: Facts, weights: Mapping[str, str]) -> list[Candidate]:
    """The table for these images; `weights` are the networks with weights at hand, and the value that names them."""
    family = [*from_scratch(facts)]
    places = [side for side in TRANSFER_SIDES if side <= max(LEAST_TRANSFER, 1.1 * facts.side)]
    if "efficientnet_lite0" in weights:
        others = [transfer(facts, "efficientnet_lite0", weights, facts.size(side)) for side in places[:3]]
        # With weights, large images are learned faster; if there is no time for a race, the first is taken.
        pairs = zip_longest(family, others) if facts.side in NATIVE else zip_longest(others, family)
        family = [one for pair in pairs for one in pair if one is not None]
    return family


def from_scratch(facts: Facts) -> list[Candidate]:
    """The networks without published weights, the one that learns fastest first."""
    if facts.side in NATIVE:
        return [scratch(facts, kind, (facts.height, facts.width)) for kind in ("narrow", "medium", "wide")]
    useful = [side for side in SIDES if side <= max(64, facts.useful_size)]
    sides = useful[-2:]
    return [scratch(facts, kind, facts.size(side)) for kind in ("narrow", "wide") for side in sides]


def batch_size(num_train: int) -> int:
    """A power of two that gives an epoch about 60 steps or more, from 32 to 512.

    >>> [batch_size(n) for n in (200, 2_000, 12_000, 60_000)]
    [32, 32, 256, 512]
    """
    power = round(math.log2(max(1.0, num_train / STEPS)))
    return int(min(MOST_BATCH, max(FEWEST_BATCH, 2**power)))


def symmetries(facts: Facts) -> dict[str, Any]:
    """Flips, where such images occur within a class."""
    return ({"augment.flip": 0.5} if facts.mirror else {}) | ({"augment.vertical_flip": 0.5} if facts.flip else {})


def why_flips(facts: Facts) -> dict[str, str]:
    """The reasons for `symmetries`."""
    found = {"augment.flip": "mirror images occur within a class"} if facts.mirror else {}
    return found | ({"augment.vertical_flip": "upside-down images occur within a class"} if facts.flip else {})


def scratch(facts: Facts, kind: str, size: tuple[int, int]) -> Candidate:
    """A network without published weights, by the method of the CIFAR speed records (Jordan 2024)."""
    side = min(size)
    halvings = 3 if side < 48 else 4 if side < 112 else 5
    stride = 1 if halvings == 3 and kind != "narrow" else 2
    groups = halvings - (stride - 1)
    settings: dict[str, Any] = {
        "model.name": "speednet",
        "model.widths": WIDTHS[kind][groups],
        "model.stem_stride": stride,
        "image.size": size,
        "image.resize": "squash",
        "augment.shift": max(2, round(side / 16)),
        "augment.border": "edge",
        "loss.label_smoothing": 0.1,
        "optimizer.name": "muon",
        "optimizer.lr": 0.03,
        "optimizer.momentum": 0.85,
        "optimizer.weight_decay": 0.02,
        "schedule.name": "triangular",
        "schedule.rise": 0.2,
        "train.batch_size": batch_size(facts.num_train),
        "train.monitor": "last",
        "train.tta": "flip+shift" if facts.mirror else "shift",
        **symmetries(facts),
    }
    if kind == "wide" and side >= 28:
        settings["train.progressive"] = 0.75
    if facts.num_train < 5000:
        settings |= {"augment.rotate": 10.0, "augment.scale": 0.1}
    height, width = size
    return Candidate(
        f"speednet, {kind}, {height}x{width}", settings, why_flips(facts), family=f"speednet, {height}x{width}"
    )


def transfer(facts: Facts, network: str, weights: Mapping[str, str], size: tuple[int, int]) -> Candidate:
    """A network that was trained on ImageNet: its head is fitted first, then all of it fine-tuned.

    Each stage learns at three quarters of the rate of the next one (Howard & Ruder 2018, section 3.2).
    """
    settings: dict[str, Any] = {
        "model.name": network,
        "model.pretrained": weights[network],
        "model.head": "logistic",
        "model.dropout": 0.0,  # a head that was fitted without noise does not bear it
        "model.stochastic_depth": 0.0,
        "image.size": size,
        "image.resize": "squash",
        "image.channels": 3 if facts.channels in (1, 3) else facts.channels,
        "augment.shift": max(2, round(min(size) / 16)),
        "augment.border": "mirror",
        "optimizer.name": "adamw",
        "optimizer.lr": 0.0001,
        "optimizer.weight_decay": 0.05,
        "optimizer.decay": "weights",
        "optimizer.layer_decay": 0.9,
        "schedule.name": "triangular",
        "schedule.rise": 0.1,
        "train.batch_size": 32,
        "train.freeze_bn": True,
        "train.ema_decay": 0.99,
        "train.clip_norm": 1.0,
        "train.monitor": "loss",  # of the few validation samples of a small set, it says more than their accuracy
        "train.tta": "flip" if facts.mirror else "none",
        **symmetries(facts),
    }
    height, width = size
    return Candidate(f"{network}, ImageNet weights, {height}x{width}", settings, why_flips(facts))
