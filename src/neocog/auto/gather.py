"""From a source to the facts that candidates are chosen by."""

import time
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.auto.budget import Budget
from neocog.auto.facts import Facts
from neocog.data import Source, Splits
from neocog.errors import DataError
from neocog.look import ImageLook, look_at_images
from neocog.modalities.image.arrays import ArraySource
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.runs import ResolvedConfig

__all__ = ["describe_samples", "gather_facts"]

USUAL, DECODED = 128, 16  # the side and the number of images whose decoding is timed
LOOK_SHARE, LONGEST_LOOK = 0.04, 10.0  # of the budget, and in seconds


def gather_facts(resolved: ResolvedConfig, source: Source, splits: Splits, budget: Budget) -> dict[str, Any]:
    """The facts, as JSON, and for images the sentences that a look gives."""
    common = describe_samples(source, splits)
    if source.modality not in LOOKS:
        return {"facts": Facts(**common).to_json()}
    found, lines = LOOKS[source.modality](resolved, source, splits, budget)
    return {"facts": Facts(**common, **found).to_json(), "lines": lines}


def look_at_pictures(
    resolved: ResolvedConfig, source: Source, splits: Splits, budget: Budget
) -> tuple[dict[str, Any], list[str]]:
    """The facts of images, and the sentences of the look."""
    seconds = min(LONGEST_LOOK, LOOK_SHARE * budget.seconds)
    found = look_at_images(source, splits.train, seconds=seconds, seed=resolved.config.train.seed)
    facts = of_images(found) | {"decode_seconds": time_decoding(source, splits.train, found)}
    return facts, found.lines()


LOOKS = {"image": look_at_pictures}
"""By kind of data; others have only the common facts."""


def time_decoding(source: Source, indices: NDArray[np.int64], look: ImageLook) -> float:
    """Seconds to read and decode one image; 0 if images are arrays, or none can be read.

    Several CPUs share the decoding, but the headers are read before, one after the other.
    """
    if isinstance(source, ArraySource):
        return 0.0
    spec = ImagePreprocess(
        size=(USUAL, USUAL),
        channels=1 if look.grey else look.facts.channels,
        bit_depth=look.facts.bit_depth,
        convert=True,
    )
    begin, count = time.perf_counter(), 0
    for index in indices[np.linspace(0, len(indices) - 1, min(DECODED, len(indices))).astype(int)].tolist():
        with suppress(DataError):
            spec.decode(source.read(index).payload)
            count += 1
    return (time.perf_counter() - begin) / count if count else 0.0


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
