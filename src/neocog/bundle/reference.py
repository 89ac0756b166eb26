"""Statistics of held-out inputs and predictions: the reference against which a server finds drift.

A bundle's manifest holds it as `reference`: how often each class was predicted for held-out data, and, over the same
inputs, the mean and the deviation of each channel of one decoded input. Bundles of earlier versions have none.
"""

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.tasks import Task

__all__ = ["Reference", "input_statistics", "measure_reference", "predicted_counts"]

POSITIONS = 4096  # of a channel, by which its mean and deviation are estimated
MOST_CHANNELS = 64
MOST, BATCH = 2048, 256  # samples that are looked at, and at once
FAR = 4.0  # deviations from the mean beyond which an input counts as unusual


@dataclass(frozen=True, slots=True)
class Reference:
    """Held-out data as a network saw them."""

    samples: int
    predicted: NDArray[np.float64] | None
    """How often each class was predicted, (K,); None if the network does not predict one class."""
    mean: NDArray[np.float64] | None = None
    """Of `input_statistics` over the samples, (2 C,); None if the inputs are not quantities."""
    deviation: NDArray[np.float64] | None = None
    """Of the same."""
    inputs: int = 0
    """The samples that these two are of."""
    unusual: float | None = None
    """The share of samples that count as unusual; None if nothing tells."""

    def to_json(self) -> dict[str, Any]:
        """As a manifest holds it."""
        found: dict[str, Any] = {"samples": self.samples}
        if self.predicted is not None:
            found["predicted"] = [int(count) for count in self.predicted]
        if self.mean is not None and self.deviation is not None:
            rounded = [[float(f"{value:.6g}") for value in values] for values in (self.mean, self.deviation)]
            found["inputs"] = {"samples": self.inputs, "mean": rounded[0], "deviation": rounded[1]}
        if self.unusual is not None:
            found["unusual"] = round(self.unusual, 6)
        return found

    @classmethod
    def of(cls, manifest: dict[str, Any]) -> "Reference | None":
        """The reference in a manifest; None if it has none that can be used.

        >>> Reference.of({"reference": {"samples": 3, "predicted": [1, 2]}}).predicted.tolist()
        [1.0, 2.0]
        """
        stored = manifest.get("reference")
        try:
            if not isinstance(stored, dict) or int(stored["samples"]) < 1:
                return None
            inputs = stored.get("inputs")
            numbers = [stored.get("predicted"), *((inputs["mean"], inputs["deviation"]) if inputs else (None, None))]
            predicted, mean, deviation = (None if row is None else np.array(row, np.float64) for row in numbers)
            if mean is not None and deviation is not None and mean.shape != deviation.shape:
                return None
            unusual = stored.get("unusual")
            share = None if unusual is None else float(unusual)
            seen = int(inputs["samples"]) if inputs else 0
            return cls(int(stored["samples"]), predicted, mean, deviation, seen, share)
        except (KeyError, TypeError, ValueError):
            return None

    def unusual_rows(
        self, task: Task, logits: Tensor, statistics: NDArray[np.float64] | None
    ) -> NDArray[np.bool_] | None:
        """Which inputs are unlike the training data: by their logits (N, K) if the task can tell, else by a channel far
        from all that was measured (M, 2 C); None if neither tells."""
        rows = task.unusual_rows(logits)
        if rows is not None:
            return np.asarray(rows.numpy())
        if statistics is None or self.mean is None or self.deviation is None:
            return None
        spread = np.maximum(self.deviation, 1e-6 * (1 + np.abs(self.mean)))
        return np.asarray((np.abs(statistics - self.mean) > FAR * spread).any(axis=1))


def measure_reference(task: Task, logits: Tensor, decoded: Tensor | None) -> Reference:
    """The reference of held-out logits (N, K), and of their decoded inputs (N, *shape) if they are at hand.

    Of many inputs, a few thousand are looked at, spread over all.
    """
    predicted = predicted_counts(task, logits)
    batches = [] if decoded is None else torch.split(decoded[:: math.ceil(len(decoded) / MOST)], BATCH)
    parts = [part for batch in batches if (part := input_statistics(batch.cpu())) is not None]
    statistics = np.concatenate(parts) if parts else None
    plain = Reference(len(logits), predicted)
    if statistics is not None:
        mean, deviation = statistics.mean(axis=0), statistics.std(axis=0)
        plain = replace(plain, mean=mean, deviation=deviation, inputs=len(statistics))
    unusual = plain.unusual_rows(task, logits, statistics)
    return plain if unusual is None else replace(plain, unusual=float(unusual.mean()))


def predicted_counts(task: Task, logits: Tensor) -> NDArray[np.float64] | None:
    """How often each class is predicted, (N, K) -> (K,); None for a task that doesn't predict one class."""
    if not task.by_class or logits.ndim != 2:
        return None
    return np.bincount(logits.argmax(dim=1).numpy(), minlength=logits.shape[1]).astype(np.float64)


def input_statistics(decoded: Tensor) -> NDArray[np.float64] | None:
    """Mean and deviation of each channel of each decoded input, (N, C, ...) -> (N, 2 C).

    Of large inputs, a few thousand positions are looked at, always the same ones. Places that are not a number, such
    as padding, don't count. None for inputs that are not quantities, such as the numbers of characters.

    >>> input_statistics(torch.tensor([[[0, 2, 4]]], dtype=torch.uint8)).round(3).tolist()
    [[2.0, 1.633]]
    """
    if decoded.dtype == torch.int64 or decoded.ndim < 2:
        return None
    rows = decoded[:, None] if decoded.ndim == 2 else decoded
    flat = rows[:, :MOST_CHANNELS].flatten(2)
    if flat.shape[2] > POSITIONS:
        flat = flat[:, :, positions(flat.shape[2])]
    values = flat.double()
    known = ~values.isnan()
    count = known.sum(dim=2).clamp(min=1)
    values = values.nan_to_num(0.0, math.inf, -math.inf)
    mean = values.sum(dim=2) / count
    spread = ((values - mean[:, :, None]) * known).square().sum(dim=2) / count
    found: NDArray[np.float64] = torch.cat([mean, spread.sqrt()], dim=1).numpy()
    return found


@functools.lru_cache(maxsize=8)
def positions(size: int) -> Tensor:
    """Positions spread at random, so that none of the input's rows and columns is preferred."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(0))[:POSITIONS].sort().values
