"""Differences that no export can avoid: a bundle may read files at fewer pixels, and average over several views."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from neocog.bundle.predictor import Predictor
from neocog.dataset.record import Source
from neocog.exporting.gate_samples import Sample
from neocog.modalities.image.preprocess import ImagePreprocess

__all__ = ["decodes_otherwise", "how_read", "score_files"]

JPEG = b"\xff\xd8\xff"


def decodes_otherwise(predictor: Predictor, sample: Sample) -> bool:
    """Whether a file is a JPEG that the bundle decodes at reduced resolution (libjpeg DCT scaling)."""
    preprocess, payload = predictor.preprocess, sample.record.payload
    if not isinstance(preprocess, ImagePreprocess) or not preprocess.dct_scaling or preprocess.resize == "tile":
        return False
    if not isinstance(payload, bytes) or not payload.startswith(JPEG):
        return False
    return not torch.equal(preprocess.decode(payload), preprocess.decode(sample.array))


def score_files(predictor: Predictor, source: Source, indices: Sequence[int]) -> list[Any]:
    """The bundle's logits or comparisons for records as `neocog predict` computes them."""
    rows = np.array(indices)
    if predictor.task.dense:
        return list(predictor.compare_records(source, rows, label="reading files"))
    return list(predictor.logits_of(source, rows, "reading files", predictor.tta))


def how_read(predictor: Predictor, *, scaled: bool) -> str:
    """The steps of the bundle that the exported network lacks, in words; `scaled`: it decodes JPEGs at fewer pixels."""
    parts = ["JPEGs decoded at reduced resolution"] * scaled
    parts += [f"averaged over the views of {predictor.tta!r}"] * (predictor.tta != "none")
    return " and ".join(parts)
