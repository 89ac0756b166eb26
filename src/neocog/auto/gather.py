"""From a source to the facts that candidates are chosen by."""

from typing import Any

from neocog.auto.budget import Budget
from neocog.auto.facts import Facts
from neocog.data import Source, Splits
from neocog.look import ImageLook, look_at_images
from neocog.runs import ResolvedConfig

__all__ = ["describe_samples", "gather_facts"]

LOOK_SHARE, LONGEST_LOOK = 0.04, 10.0  # of the budget, and in seconds


def gather_facts(resolved: ResolvedConfig, source: Source, splits: Splits, budget: Budget) -> dict[str, Any]:
    """The facts, as JSON, and for images the sentences that a look gives."""
    common = describe_samples(source, splits)
    if source.modality != "image":
        return {"facts": Facts(**common).to_json()}
    seconds = min(LONGEST_LOOK, LOOK_SHARE * budget.seconds)
    found = look_at_images(source, splits.train, seconds=seconds, seed=resolved.config.train.seed)
    return {"facts": Facts(**common, **of_images(found)).to_json(), "lines": found.lines()}


def describe_samples(source: Source, splits: Splits) -> dict[str, Any]:
    """The facts of any kind of data."""
    return {
        "modality": source.modality,
        "num_train": len(splits.train) + len(splits.val),
        "num_test": len(splits.test),
        "num_classes": len(source.classes),
    }


def of_images(look: ImageLook) -> dict[str, Any]:
    """The facts of a look that candidates are chosen by."""
    facts = look.facts
    narrow, _, wide = facts.aspect
    return {
        "height": facts.height[1],
        "width": facts.width[1],
        "even_aspect": wide <= 1.15 * narrow,
        "channels": 1 if look.grey else facts.channels,
        "useful_size": look.useful_size,
        "mirror": look.holds("mirror"),
        "flip": look.holds("flip"),
    }
