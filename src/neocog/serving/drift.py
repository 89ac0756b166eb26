"""Drift: what is predicted and received now, against what the network was measured on.

Each worker sums up what it sees, each sample weighted by `0.5 ** (age / HALF_LIFE)`, in a small file; whoever is asked
adds the files of all. With weights w, the sums are worth n = (sum w)^2 / sum w^2 samples (Kish 1965). Three things are
compared with the m samples of the bundle's reference:

    classes   PSI = sum (p - q) ln(p / q) over the classes' shares p now and q then. Without drift it is distributed as
              (1/n + 1/m) chi^2 with B - 1 degrees of freedom (Yurdakul 2018); its limit is a quantile of that.
    inputs    |mean now - mean then| of each channel's mean and deviation, in deviations between the samples then; its
              limit is the normal quantile times the standard error.
    unusual   the share of inputs that are unlike the training data, by their logits if the network can tell, else by a
              channel far from all that was measured; a difference of two shares.

Drift is what goes beyond its limit, and beyond what is small whatever n is.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import GaugeMetricFamily
from scipy.special import chdtri, ndtri

from neocog.bundle.reference import Reference, input_statistics, predicted_counts
from neocog.serving.logs import Log
from neocog.serving.served import Served

__all__ = ["Drift", "DriftFinding", "Window", "compare_window", "population_stability"]

HALF_LIFE = 3600.0  # seconds
FALSE_ALARMS = 1e-6  # chance of one in a look at data that did not drift; there are many looks
FEWEST = 50.0  # samples below which nothing is compared
SMALL = {"classes": 0.1, "inputs": 0.5, "unusual": 0.05}
"""Differences that don't count however sure they are: the PSI's customary bound, half a deviation, 5 points."""
SHARE = 0.05  # of an engine's time that this may take
EXPECTED = 5.0  # samples of a class; rarer ones are counted together

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """One comparison: how far apart, and what chance explains."""

    kind: str
    """classes, inputs or unusual."""
    value: float
    limit: float
    place: str = ""
    """The channel that moved the most."""

    @property
    def drifted(self) -> bool:
        return self.value > max(self.limit, SMALL[self.kind])


class Window:
    """Decayed sums of one model in one worker, in a file that all can read.

    Layout: time of the last decay, sum of weights, of their squares, of unusual inputs' weights; then the classes (K,),
    and the statistics' sums and sums of squares (2 C,) each.
    """

    HEAD = 4

    def __init__(self, values: Vector, num_classes: int, num_statistics: int) -> None:
        self.values, self.num_classes, self.num_statistics = values, num_classes, num_statistics

    @classmethod
    def size(cls, num_classes: int, num_statistics: int) -> int:
        return cls.HEAD + num_classes + 2 * num_statistics

    def decay(self, now: float) -> None:
        """Let everything age until now, in seconds since 1970."""
        factor = 0.5 ** (max(0.0, now - self.values[0]) / HALF_LIFE) if self.values[0] else 1.0
        self.values[1:] *= factor
        self.values[2] *= factor
        self.values[0] = now

    def add(self, now: float, count: int, classes: Vector | None, statistics: Vector | None, unusual: float) -> None:
        """Add `count` samples: the classes predicted (K,), statistics of the inputs (count, 2 C), and how many are
        unusual."""
        self.decay(now)
        self.values[1] += count
        self.values[2] += count
        self.values[3] += unusual
        start = self.HEAD
        if classes is not None:
            self.values[start : start + self.num_classes] += classes
        start += self.num_classes
        if statistics is not None:
            middle = start + self.num_statistics
            self.values[start:middle] += statistics.sum(axis=0)
            self.values[middle:] += np.square(statistics).sum(axis=0)

    @property
    def effective(self) -> float:
        """How many samples of weight 1 the sums are worth."""
        return float(self.values[1] ** 2 / self.values[2]) if self.values[2] > 0 else 0.0

    @property
    def classes(self) -> Vector:
        return self.values[self.HEAD : self.HEAD + self.num_classes]

    def moments(self) -> tuple[Vector, Vector]:
        """Mean and variance of each statistic, (2 C,)."""
        start, weight = self.HEAD + self.num_classes, max(self.values[1], 1e-12)
        sums, squares = self.values[start : start + self.num_statistics], self.values[start + self.num_statistics :]
        mean = sums / weight
        return mean, np.maximum(squares / weight - mean**2, 0.0)


def population_stability(now: Vector, then: Vector, effective: float) -> tuple[float, float]:
    """The PSI of class counts (K,) against those of the reference, and its limit; rare classes are counted together.

    >>> value, limit = population_stability(np.array([300.0, 700]), np.array([500.0, 500]), 1000)
    >>> round(value, 3), round(limit, 3)
    (0.169, 0.048)
    """
    total = then.sum()
    expected = then / total * min(effective, total)
    rare = expected < EXPECTED
    if rare.sum() > 1:
        now, then = (np.append(counts[~rare], counts[rare].sum()) for counts in (now, then))
    if len(now) < 2:
        return 0.0, 0.0
    scaled = now / max(now.sum(), 1e-12) * effective
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (scaled, then))
    value = float(((p - q) * np.log(p / q)).sum())
    return value, float((1 / effective + 1 / total) * chdtri(len(p) - 1, FALSE_ALARMS))


def compare_window(window: Window, reference: Reference) -> list[DriftFinding]:
    """All comparisons of a window; none while it holds too few samples."""
    n, m = window.effective, float(reference.samples)
    if n < FEWEST:
        return []
    found: list[DriftFinding] = []
    if reference.predicted is not None and window.classes.sum() > 0:
        found.append(DriftFinding("classes", *population_stability(window.classes, reference.predicted, n)))
    if reference.mean is not None and reference.deviation is not None:
        found.append(compare_inputs(window, reference, n))
    if reference.unusual is not None:
        then, now = reference.unusual, float(window.values[3] / window.values[1])
        pooled = (then * m + 1) / (m + 2)
        error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        found.append(DriftFinding("unusual", max(0.0, now - then), float(-ndtri(FALSE_ALARMS)) * error))
    return found


def compare_inputs(window: Window, reference: Reference, n: float) -> DriftFinding:
    """The statistic of the inputs that moved the furthest."""
    assert reference.mean is not None
    assert reference.deviation is not None
    mean, variance = window.moments()
    spread = np.maximum(reference.deviation, 1e-6 * (1 + np.abs(reference.mean)))
    moved = np.abs(mean - reference.mean) / spread
    errors = np.sqrt(variance / n + reference.deviation**2 / max(reference.inputs, 1)) / spread
    limits = -ndtri(FALSE_ALARMS / 2 / len(moved)) * errors
    worst = int(np.argmax(moved - limits))
    channels = len(moved) // 2
    what = "mean" if worst < channels else "deviation"
    return DriftFinding("inputs", float(moved[worst]), float(limits[worst]), f"{what} of channel {worst % channels}")


@dataclass(slots=True)
class Monitored:
    """A model that is monitored."""

    name: str
    key: str
    """Of its files: one for each network."""
    reference: Reference
    task: Any
    window: Window
    next: float = 0.0
    """When the next batch is looked at, by `time.perf_counter`."""


class Drift:
    """Sums up what the models of a worker receive and predict, and compares what all workers saw."""

    def __init__(
        self, folder: Path, slot: int = 0, *, share: float = SHARE, clock: Callable[[], float] = time.time
    ) -> None:
        """`share` of the engine's time may go into it; `clock` gives seconds since 1970."""
        self.folder, self.slot, self.share, self.clock = folder, slot, share, clock
        self.monitored: dict[str, Monitored] = {}
        self.drifting: set[tuple[str, str]] = set()
        """Models and kinds that were warned of."""
        self.lock = threading.Lock()

    def monitor(self, served: Served) -> bool:
        """Monitor a model from now on, in place of what had its name; whether its bundle has a reference."""
        reference = Reference.of(served.predictor.manifest)
        num = len(served.predictor.classes)
        fits = reference is not None and (reference.predicted is None or len(reference.predicted) == num)
        if reference is None or not fits:
            self.monitored.pop(served.name, None)
            return False
        key = f"{served.name}-{served.sha[:16]}"
        num_classes = 0 if reference.predicted is None else num
        num_statistics = 0 if reference.mean is None else len(reference.mean)
        size = Window.size(num_classes, num_statistics)
        values = open_values(self.folder / f"{key}-{self.slot}.sums", size)
        window = Window(values, num_classes, num_statistics)
        self.monitored[served.name] = Monitored(served.name, key, reference, served.predictor.task, window)
        return True

    def answered(self, name: str, decoded: Any, outputs: Any) -> None:
        """Look at a batch, unless that would take more than its share of the time; in the engine's thread."""
        monitored = self.monitored.get(name)
        began = time.perf_counter()
        if monitored is None or decoded is None or began < monitored.next:
            return
        classes = predicted_counts(monitored.task, outputs) if monitored.window.num_classes else None
        if classes is not None and len(classes) != monitored.window.num_classes:
            return  # of the network that was served before, with other classes
        statistics = input_statistics(decoded) if monitored.window.num_statistics else None
        if monitored.window.num_statistics and (
            statistics is None or statistics.shape[1] != monitored.window.num_statistics
        ):
            return
        rows = monitored.reference.unusual_rows(monitored.task, outputs, statistics)
        unusual = 0.0 if rows is None else float(rows.sum())
        with self.lock:
            monitored.window.add(self.clock(), len(outputs), classes, statistics, unusual)
        ended = time.perf_counter()
        monitored.next = ended + (ended - began) * (1 / self.share - 1)

    def together(self, monitored: Monitored) -> Window:
        """The sums of all workers, aged until now."""
        now = self.clock()
        size = len(monitored.window.values)
        total = Window(np.zeros(size), monitored.window.num_classes, monitored.window.num_statistics)
        for path in self.folder.glob(f"{monitored.key}-*.sums"):
            values = np.fromfile(path, np.float64)
            if len(values) == size:
                part = Window(values, total.num_classes, total.num_statistics)
                part.decay(now)
                total.values[1:] += part.values[1:]
        return total

    def findings(self) -> Iterator[tuple[str, Window, list[DriftFinding]]]:
        """Each model with the sums of all workers, and what they say."""
        for monitored in list(self.monitored.values()):
            window = self.together(monitored)
            yield monitored.name, window, compare_window(window, monitored.reference)

    def warn(self, log: Log) -> None:
        """Log what began to drift, and what no longer does."""
        for name, window, found in self.findings():
            for finding in found:
                key, before = (name, finding.kind), (name, finding.kind) in self.drifting
                if finding.drifted == before:
                    continue
                (self.drifting.add if finding.drifted else self.drifting.discard)(key)
                log.write(
                    "warning" if finding.drifted else "info", "drift" if finding.drifted else "drift ended",
                    model=name, kind=finding.kind, value=round(finding.value, 4), limit=round(finding.limit, 4),
                    samples=round(window.effective), **({"place": finding.place} if finding.place else {}),
                )  # fmt: skip

    def facts(self) -> Iterator[GaugeMetricFamily]:
        """For metrics: how far each model drifted, the limits, and the samples behind it."""
        value = GaugeMetricFamily(
            "neocog_drift", "Distance from the data that the network was measured on.", labels=("model", "kind")
        )
        limit = GaugeMetricFamily(
            "neocog_drift_limit", "Distance that chance or a small change explains.", labels=("model", "kind")
        )
        samples = GaugeMetricFamily("neocog_drift_samples", "Samples behind it, aged.", labels=("model",))
        for name, window, found in self.findings():
            samples.add_metric([name], window.effective)
            for finding in found:
                value.add_metric([name, finding.kind], finding.value)
                limit.add_metric([name, finding.kind], max(finding.limit, SMALL[finding.kind]))
        yield from (value, limit, samples)


def open_values(path: Path, size: int) -> Vector:
    """The numbers in a file, mapped into memory; zeros if it is new or has another size."""
    if not path.exists() or path.stat().st_size != 8 * size:
        np.zeros(size).tofile(path)
    found: Vector = np.memmap(path, np.float64, "r+", shape=(size,))
    return found
