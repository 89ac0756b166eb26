"""Figures of a predictor on records of a source."""

import numpy as np
from numpy.typing import NDArray

from neocog.bundle import Predictor
from neocog.data import Source
from neocog.evaluation import Evaluation, evaluate_logits

__all__ = ["accuracy", "evaluated"]


def accuracy(logits: NDArray[np.float32], source: Source, indices: NDArray[np.int64]) -> float:
    """The share of these records, with logits (N, K), whose largest logit is that of their class."""
    return float((logits.argmax(axis=1) == source.targets[indices]).mean())


def evaluated(
    logits: NDArray[np.float32],
    predictor: Predictor,
    source: Source,
    indices: NDArray[np.int64],
    split: str,
    targets: NDArray[np.int64] | None = None,
) -> Evaluation:
    """All figures of these logits (N, K); `targets` are given where the predictor's classes are numbered otherwise."""
    return evaluate_logits(
        logits,
        source.targets[indices] if targets is None else targets,
        predictor.classes,
        [source.key(index) for index in indices.tolist()],
        data=source.name,
        split=split,
    )
