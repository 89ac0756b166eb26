"""From a source to the facts that candidates are chosen by."""

from typing import Any

import numpy as np

from neocog.auto.budget import Budget
from neocog.auto.facts import Facts
from neocog.data import Source, Splits
from neocog.look import ImageLook, look_at_images
from neocog.runs import ResolvedConfig

__all__ = ["gather_facts"]

LOOK_SHARE, LONGEST_LOOK = 0.04, 10.0  # of the budget, and in seconds


def gather_facts(resolved: ResolvedConfig, source: Source, splits: Splits, budget: Budget) -> dict[str, Any]:
    """The facts, as JSON, and for images all that the look found."""
    num_train = len(splits.train) + len(splits.val)
    common = {
        "modality": source.modality,
        "num_train": num_train,
        "num_test": len(splits.test),
        "num_classes": len(source.classes),
    }
    if source.modality != "image":
        return {"facts": Facts(**common).to_json()}
    seconds = min(LONGEST_LOOK, LOOK_SHARE * budget.seconds)
    found = look_at_images(source, splits.train, seconds=seconds, seed=resolved.config.train.seed)
    return {"facts": Facts(**common, **of_images(found)).to_json(), "look": found.to_json()}


def of_images(look: ImageLook) -> dict[str, Any]:
    """What candidates need of a look."""
    height, width = look.median_size
    low, high = look.aspect_range
    return {
        "height": height,
        "width": width,
        "even_aspect": high <= 1.15 * low,
        "channels": 1 if look.grey else look.channels,
        "useful_size": look.useful_size or 224,
        "mirror": look.mirror.holds,
        "flip": look.flip.holds,
    }
