"""The candidates for signals, sounds, texts and Go, and for any kind of data that was registered from outside."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from neocog.auto.candidate import Candidate, differences
from neocog.auto.facts import Facts
from neocog.auto.images import SIDES, image_candidates, symmetries, transfer
from neocog.modalities.table import MODALITIES
from neocog.recipes import recipe, recipe_for
from neocog.recipes.modalities import board_epochs, board_tower
from neocog.zoo import model_info

__all__ = ["candidates_for"]

SIGNAL_NETWORKS = ("time_series_fcn", "time_series_resnet", "inception_time")
SOUND_NETWORKS = ("speech_res8", "speech_res15")  # beside the default recipe
TEXT_NETWORKS = ("text_cnn", "char_cnn_small")
FASTER = 4
"""Times the rate of a recipe that suits all networks, which is low for most."""
LEAST_NAMED = 5.0
LEAST = 10.0
"""Seconds that a trial of a network with a recipe takes at least."""
ENOUGH = {"signal": 10, "audio": 5, "text": 2, "board": 10}
"""Times as many epochs as its recipe has, at most: a handful of samples is not trained on for ten minutes."""
MORE_GAMES = 2
"""The same for positions of Go, whose recipe already has as many epochs as help."""
Table = Callable[[Facts, Mapping[str, str]], Sequence[Candidate]]


def by_network(networks: Sequence[str]) -> Table:
    """A table of networks that share the recipe of their kind of data."""

    def table(facts: Facts, _: Mapping[str, str]) -> list[Candidate]:
        return [from_recipe(recipe_for(name, facts.modality), name, facts.modality) for name in networks]

    return table


def from_recipe(name: str, network: str, modality: str, **changes: Any) -> Candidate:
    """The settings of a recipe for a network, as a candidate."""
    config = recipe(name, data="")
    settings = differences(config) | {"model.name": network} | changes
    settings.pop("train.epochs", None)
    if modality in ENOUGH:
        settings["train.most_epochs"] = ENOUGH[modality] * config.train.epochs
    return Candidate(f"{network}, recipe {name}", settings, least_seconds=LEAST)


def board_candidates(facts: Facts, _: Mapping[str, str]) -> list[Candidate]:
    """The recipe's tower for this number of positions and this board: alone, since computing the planes of a position
    takes so long that a trial would cost more than it tells."""
    base = from_recipe("board", "go_residual", facts.modality)
    widths = board_tower(facts.num_train, math.isqrt(facts.num_classes))
    sized = {"model.widths": widths, "train.most_epochs": MORE_GAMES * board_epochs(facts.num_train)}
    name = f"go_residual, {len(widths)} blocks of {widths[0]}"
    return [replace(base, name=name, settings={**base.settings, **sized})]


def sound_candidates(facts: Facts, weights: Mapping[str, str]) -> list[Candidate]:
    """The default recipe, and larger networks."""
    kind = MODALITIES["audio"]
    return [from_recipe(kind.recipe, kind.network, "audio"), *by_network(SOUND_NETWORKS)(facts, weights)]


TABLES: dict[str, Table] = {
    "image": image_candidates,
    "signal": by_network(SIGNAL_NETWORKS),
    "audio": sound_candidates,
    "text": by_network(TEXT_NETWORKS),
    "board": board_candidates,
}


def candidates_for(facts: Facts, network: str | None, weights: Mapping[str, str]) -> list[Candidate]:
    """The candidates for this data; with a `network`, those that train it."""
    if network is not None:
        return for_network(facts, network, weights)
    if facts.modality in TABLES:
        return list(TABLES[facts.modality](facts, weights))
    kind = MODALITIES[facts.modality]
    return [from_recipe(kind.recipe, kind.network, facts.modality)]


def for_network(facts: Facts, network: str, weights: Mapping[str, str]) -> list[Candidate]:
    """Candidates for a network that the user has named: with its weights, if there are any; its recipe at several sizes
    of images, and at a higher rate."""
    name = recipe_for(network, facts.modality)
    base = from_recipe(name, network, facts.modality)
    if not facts.height:
        return [base]
    base = replace(base, settings={**base.settings, **symmetries(facts)}, least_seconds=LEAST_NAMED)
    own = min(model_info(network).input_size)
    sides = [side for side in SIDES if side < own and side <= max(64, facts.useful_size)]
    smaller = [at_size(base, facts.size(side)) for side in sides[-2:]] if name == "general" else []
    known = [transfer(facts, network, weights, facts.size(side)) for side in (128, own)] if network in weights else []
    return [*known, *smaller, base, faster(base, FASTER)]


def at_size(base: Candidate, size: tuple[int, int]) -> Candidate:
    """The same with images of another size."""
    settings = {**base.settings, "image.size": size, "image.resize": "squash"}
    return replace(base, name=f"{base.name}, {size[0]}x{size[1]}", settings=settings)


def faster(base: Candidate, factor: int) -> Candidate:
    """The same at a multiple of the rate."""
    settings = {**base.settings, "optimizer.lr": base.settings["optimizer.lr"] * factor}
    return replace(base, name=f"{base.name}, {factor} times the rate", settings=settings)
