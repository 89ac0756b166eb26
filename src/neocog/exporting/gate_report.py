"""The report of the gate: figures of an exported network, and the checks that they passed or failed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from neocog.evaluation import Estimate

__all__ = [
    "FLOAT", "INT8", "Check", "CheckName", "GateReport", "Tolerance", "figures", "fix_of", "limit_text", "metric_text",
    "percent",
]  # fmt: skip

CheckName = Literal["interface", "metric", "agreement", "outputs", "batch sizes", "order", "other sizes"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an exported network may be from the bundle that it was made of."""

    name: Literal["float", "int8"]
    metric: float
    """Of the headline metric: 0.0005 is 0.05 points. For numbers, it counts in standard deviations of the targets."""
    outputs: float | None
    """The largest difference of an output, in units of the outputs' spread; None if only decisions count."""

    @property
    def both_ways(self) -> bool:
        """Whether a better metric is a difference, too: float networks compute the same, whatever comes of it."""
        return self.outputs is not None


FLOAT = Tolerance("float", 0.0005, 1e-3)
"""0.05 points of the metric, and 1e-3 of the spread of the outputs."""
INT8 = Tolerance("int8", 0.003, None)
"""A loss of 0.3 points of the metric."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the gate and its answer."""

    name: CheckName
    passed: bool
    found: str
    """The figure in words."""
    allowed: str
    fix: str = ""
    """Advice, if it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """An exported network beside its bundle, on the same samples."""

    engine: str
    tolerance: Tolerance
    data: str
    split: str
    count: int
    """Samples that both computed."""
    available: int
    """Samples of the split."""
    metric: str
    bundle: float | None
    """The headline metric of `Predictor`; None if the exported network could not be scored."""
    exported: float | None
    difference: Estimate | None
    """Exported minus bundle, with the interval of the pairs."""
    agreement: float | None
    """The share of samples with the same answer."""
    largest: dict[str, float]
    """By output: the largest difference, in units of its spread."""
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if not check.passed]

    def lines(self) -> list[str]:
        """The result as a small table."""
        rows: list[tuple[str, str, str, str]] = [
            (check.name, "passed" if check.passed else "FAILED", check.found, check.allowed) for check in self.checks
        ]
        rows.insert(0, ("check", "", "found", "allowed"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        head = f"Gate ({self.tolerance.name}): {self.engine} beside the bundle on {self.sample_text()}"
        table = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]]) for row in rows]
        return [head, *(f"  {line.rstrip()}" for line in table), *(f"  {note}" for note in self.notes)]

    def sample_text(self) -> str:
        """The samples in a few words."""
        of = f" of {self.available:,}" if self.count < self.available else ""
        return f"{self.count:,}{of} samples of {self.data} ({self.split})"

    def refusal(self) -> str:
        """Why the export is refused, with figures and what to try; empty if it is not."""
        found = "; ".join(f"{check.name}: {check.found} (allowed: {check.allowed})" for check in self.failed)
        fixes = dict.fromkeys(check.fix for check in self.failed if check.fix)
        return ". ".join([found, *fixes]).removesuffix(".")

    def to_json(self) -> dict[str, Any]:
        """All of it, for a program."""
        return {**asdict(self), "passed": self.passed}


def percent(value: float) -> str:
    """A share with as many digits as tell it from 100%.

    >>> percent(1.0), percent(0.99951), percent(0.5)
    ('100%', '99.951%', '50.00%')
    """
    return "100%" if value == 1 else f"{value:.2%}" if value < 0.99 else f"{value:.3%}"


def figures(largest: Sequence[tuple[str, float]]) -> str:
    """Differences by output in words.

    >>> figures([("logits", 2.5e-6), ("probabilities", 0.0)])
    'logits 2.5e-06, probabilities 0'
    """
    return ", ".join(f"{name} {value:.2g}" for name, value in largest)


def metric_text(headline: tuple[str, float, float], difference: Estimate) -> str:
    """Both metrics and their difference in words."""
    name, before, after = headline
    if not difference.is_share:
        bounds = f"[{difference.low:+.2g}, {difference.high:+.2g}]"
        return f"{name} {before:.4g} -> {after:.4g}, {difference.value:+.2g} {bounds}"
    low, high = 100 * difference.low, 100 * difference.high
    return f"{name} {before:.2%} -> {after:.2%}, {100 * difference.value:+.2f} points [{low:+.2f}, {high:+.2f}]"


def limit_text(tolerance: Tolerance, limit: float, difference: Estimate, *, only_one: bool) -> str:
    """The allowed difference of the metric in words."""
    amount = f"{100 * limit:.2g} points" if difference.is_share else f"{limit:.2g}"
    return f"{amount}{'' if tolerance.both_ways else ' worse'}{', which is one sample' if only_one else ''}"


def fix_of(name: CheckName, tolerance: Tolerance, *, rounding: bool) -> str:
    """Advice for a check that failed; `rounding`: the differences are small enough to come from it."""
    if name == "interface":
        return "The file or its manifest was not made of this bundle, or was changed since: export it again."
    if name in ("batch sizes", "order"):
        return (
            "The graph mixes samples, or has the batch size of its example written down: export with a dynamic batch."
        )
    if name == "other sizes":
        return "The graph has a size of its example written down: write sizes as they follow from the input."
    if not tolerance.both_ways:
        return "Leave out int8, or calibrate with more and with typical training data."
    if rounding:
        return "Such differences may come from bfloat16 or float16: compute in float32, and save float32 weights."
    return "The graph computes another function than the network; please report it with the bundle's network and task."
