"""The gate: an exported network is run by its real engine and compared with `Predictor`; what differs is refused.

Both get the same arrays: validation samples, decoded at their own full size. Then the exported network is tried where
files of networks go wrong without a message: with other batch sizes, samples in another order, and inputs of other
sizes, odd and even.
"""

import copy
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.bundle.interface import answer_tensors, output_specs
from neocog.bundle.predictor import Predictor
from neocog.evaluation import Estimate
from neocog.exporting.gate_files import decodes_otherwise, how_read, score_files
from neocog.exporting.gate_metric import Scores, agreement, evaluated, metric_difference, metric_scale
from neocog.exporting.gate_outputs import Arrays, Differences, Spreads, compare_arrays, shape_fault
from neocog.exporting.gate_report import (
    FLOAT,
    Check,
    CheckName,
    GateReport,
    Tolerance,
    figures,
    fix_of,
    limit_text,
    metric_text,
    percent,
)  # fmt: skip
from neocog.exporting.gate_samples import Array, Sample, batches_of, other_sizes, read_samples, resized, resized_to
from neocog.exporting.program import graph_input
from neocog.modalities.tensor_spec import TensorSpec
from neocog.runs.channels import match_channels
from neocog.runs.evaluate_bundle import Chosen

__all__ = ["FLOAT", "Exported", "check_export"]

MOST, SECONDS, FEWEST = 2000, 300.0, 50  # samples, the time that they may take, and how many are computed in any case
TRIED = 5  # samples in the checks of batch size and order
SIZES = (1, 2, 3, 5)
ORDER = np.array([3, 0, 4, 1, 2])
INT8_ROUNDING = 0.05  # of the outputs' spread: a sum that ends on the other side of a rounding moves an int8 value by 1
ELSEWHERE = 3.0  # times the differences on real samples that int8 may have on resampled ones
ROUNDED = 2.0**-15, 2.0**-4  # of the largest output: differences that rounding to 8 or 11 bits explains
PRESENT = 1 - 1e-3  # of samples with the same answer


class Exported(Protocol):
    """A network in a file, opened by its engine."""

    @property
    def inputs(self) -> Sequence[TensorSpec]: ...
    @property
    def outputs(self) -> Sequence[TensorSpec]: ...
    def __call__(self, array: NDArray[Any], /) -> Mapping[str, NDArray[Any]]: ...


class FailedRunError(Exception):
    """The exported network did not compute a batch, and why."""


def check_export(
    predictor: Predictor,
    exported: Exported,
    samples: Chosen,
    tolerance: Tolerance = FLOAT,
    *,
    manifest: Mapping[str, Any] | None = None,
    most: int = MOST,
    seconds: float = SECONDS,
) -> GateReport:
    """Compare an exported network with its bundle on samples of a data set.

    At most `most` samples, drawn evenly, and as many as `seconds` allow but at least 50. `manifest` is what lies beside
    the file, or else the interface within: its classes and what the task has learned must be those of the bundle.
    Nothing is raised for a network that differs: the report says so. Raises DataError for a sample that can't be read.
    """
    began = time.monotonic()
    gate = Gate(predictor, exported, tolerance)
    gate.compare_interface(manifest)
    gate.compute(samples, most, seconds)
    gate.judge_outputs()
    gate.judge_metric(samples)
    gate.try_batches()
    gate.try_sizes()
    return gate.report(samples, time.monotonic() - began)


@dataclass
class Gate:
    """One comparison, step by step."""

    predictor: Predictor
    exported: Exported
    tolerance: Tolerance
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    kept: list[Array] = field(default_factory=list)
    fault: str = ""
    """Why a batch of the samples was not computed, or has other arrays than the bundle."""
    headline: tuple[str, float, float] | None = None
    difference: Estimate | None = None
    agreed: float | None = None

    def __post_init__(self) -> None:
        # A copy, whose large images are computed in float32 as well.
        self.predictor = copy.copy(self.predictor)
        self.predictor.tiles = self.predictor.backend
        self.spec, self.task = graph_input(self.predictor), self.predictor.task
        self.spreads = Spreads()
        self.differences = Differences(self.spreads)
        self.before, self.after = Scores(self.task), Scores(self.task)
        self.inner = Differences(self.spreads)
        """Of decoded outputs and what the logits beside them mean."""
        self.scaled = False
        """Whether the bundle decodes files at fewer pixels."""

    def note(self, name: CheckName, passed: bool, found: str, allowed: str) -> None:
        fix = "" if passed else fix_of(name, self.tolerance, rounding=self.rounding)
        self.checks.append(Check(name, passed, found, allowed, fix))

    @property
    def largest(self) -> dict[str, float]:
        return {} if self.fault else self.differences.relative()

    @property
    def rounding(self) -> bool:
        """Whether the differences of logits are of the size of rounding to 8 or 11 bits."""
        pairs = [(value, self.spreads.highest.get(name, 1.0)) for name, value in self.differences.largest.items()]
        return any(ROUNDED[0] * highest < value for value, highest in pairs) and all(
            value < ROUNDED[1] * highest for value, highest in pairs
        )

    @property
    def differs(self) -> bool:
        """Whether outputs differ from the bundle's by more than rounding in float32: int8, or a failed check."""
        limit = self.tolerance.outputs
        return limit is None or any(not value <= limit for value in self.largest.values())

    def reference(self, arrays: NDArray[Any]) -> Arrays:
        """The bundle's outputs for raw inputs (N, ...)."""
        if self.spec.name not in ("ids", "planes"):
            return answer_tensors(self.predictor, arrays)
        return self.task.tensors(self.predictor.logits(torch.from_numpy(arrays)))

    def run(self, arrays: NDArray[Any], expected: Arrays) -> Arrays:
        """The exported network's outputs for the same. Raises FailedRunError if they are not the same arrays."""
        try:
            found = self.exported(arrays)
        except Exception as error:  # an engine may raise anything
            text = str(error).strip().splitlines() or [""]
            raise FailedRunError(f"{arrays.shape} {arrays.dtype}: {type(error).__name__}: {text[0][:300]}") from error
        if fault := shape_fault(expected, found):
            raise FailedRunError(f"for {arrays.shape} {arrays.dtype} {fault}")
        return found

    def compare_interface(self, manifest: Mapping[str, Any] | None) -> None:
        """Names, types and shapes, and what the manifest says about classes and decisions."""
        faults = [
            f"{kind} {[spec.to_json() for spec in found]} instead of {[spec.to_json() for spec in expected]}"
            for kind, found, expected in (
                ("inputs", self.exported.inputs, (self.spec,)),
                ("outputs", self.exported.outputs, output_specs(self.predictor)),
            )
            if list(found) != list(expected)
        ]
        says = getattr(self.exported, "interface", {}) if manifest is None else manifest
        for key, value in (("classes", list(self.task.classes)), ("learned", self.task.learned)):
            if key in says and json.dumps(says[key]) != json.dumps(value):
                faults.append(f"{key} of the manifest {says[key]!r:.200} instead of {value!r:.200}")
        self.note("interface", not faults, "; ".join(faults) or "the same", "names, types, classes of the bundle")

    def compute(self, samples: Chosen, most: int, seconds: float) -> None:
        """Run both on the samples."""
        drawn = np.random.default_rng(0).permutation(samples.indices)[:most]
        self.task.match_targets(match_channels(samples.source, self.predictor.preprocess), drawn)
        ends = time.monotonic() + seconds
        for group in read_samples(self.predictor, replace(samples, indices=drawn)):
            for batch in batches_of(group):
                self.compute_batch(batch)
            if time.monotonic() > ends and len(self.indices) >= FEWEST:
                self.notes.append(f"Stopped after {seconds:.0f} s.")
                break
        if not self.indices:
            self.fault = "no sample is left"

    def compute_batch(self, batch: Sequence[Sample]) -> None:
        arrays, records = np.stack([sample.array for sample in batch]), [sample.record for sample in batch]
        expected = self.reference(arrays)
        self.spreads.add(expected)
        self.kept += list(arrays[: max(0, TRIED - len(self.kept))])
        self.scaled = self.scaled or any(decodes_otherwise(self.predictor, sample) for sample in batch[:2])
        self.indices += [sample.index for sample in batch]
        self.keys += [record.key for record in records]
        if self.fault:
            return
        try:
            found = self.run(arrays, expected)
        except FailedRunError as error:
            self.fault = str(error)
            return
        self.differences.add(expected, found)
        self.before.add(expected, records)
        self.after.add(found, records)
        if not self.task.dense:
            meant = self.task.tensors(torch.from_numpy(np.ascontiguousarray(found["logits"])))
            self.inner.add({name: meant[name] for name in list(meant)[1:]}, found)

    def judge_outputs(self) -> None:
        """The largest differences of the outputs, and whether decoded ones follow from the logits beside them."""
        if self.fault:
            self.note("outputs", False, self.fault, "all samples are computed")
            return
        limit = self.tolerance.outputs or math.inf
        largest = self.largest
        within = all(value <= limit and math.isfinite(value) for value in largest.values())
        allowed = f"{limit:g} of the spread" if math.isfinite(limit) else "finite; reported"
        self.note("outputs", within, figures(list(largest.items())), allowed)
        inner = self.inner.relative()
        if any(not value <= FLOAT.outputs for value in inner.values()):  # type: ignore[operator]
            text = f"{figures(list(inner.items()))} from what the logits mean"
            self.note("outputs", False, text, f"{FLOAT.outputs:g} of the spread")

    def judge_metric(self, samples: Chosen) -> None:
        """The difference of the headline metric, and how often both answer alike; nothing for infinite outputs."""
        if self.fault or not all(map(math.isfinite, self.largest.values())):
            return
        task, source = self.task, match_channels(samples.source, self.predictor.preprocess)
        targets = task.match_targets(source, np.array(self.indices))
        found = [evaluated(task, each, targets, self.keys) for each in (self.before, self.after)]
        name, headline = next(iter(found[0].items()))
        before, after = (metrics[name].value if name in metrics else math.nan for metrics in found)
        self.headline = name, before, after
        self.difference = metric_difference(
            task, self.before, self.after, targets, self.keys, is_share=headline.is_share
        )
        lower = task.criterion.mode == "min" and task.criterion.metric == name
        worse = self.difference.value if lower else -self.difference.value
        one = 1 / len(self.keys) if task.by_class else 0.0
        limit = max(self.tolerance.metric, one) * metric_scale(task)
        beyond = abs(worse) if self.tolerance.both_ways else worse
        self.note(
            "metric", bool(beyond <= limit + 1e-12), metric_text(self.headline, self.difference),
            limit_text(self.tolerance, limit, self.difference, only_one=one > self.tolerance.metric),
        )  # fmt: skip
        if self.scaled or self.predictor.tta != "none":
            files = Scores(task, score_files(self.predictor, source, self.indices))
            beside = metric_difference(task, files, self.after, targets, self.keys, is_share=headline.is_share)
            text = metric_text((name, evaluated(task, files, targets, self.keys)[name].value, after), beside)
            self.notes.append(
                f"Beside the bundle on the files themselves, {how_read(self.predictor, scaled=self.scaled)}: {text}"
            )
        self.agreed = agreement(task, self.before, self.after, self.differences)
        if self.tolerance.both_ways:
            least = min(PRESENT, 1 - 1 / len(self.keys))
            self.note("agreement", self.agreed >= least, f"{percent(self.agreed)} of the answers", percent(least))
        else:
            self.note("agreement", True, f"{percent(self.agreed)} of the answers", "reported")

    def try_batches(self) -> None:
        """Other batch sizes than the example's, and the samples of a batch in another order."""
        if not self.kept:
            return
        count, shape = len(self.kept), self.kept[0].shape
        base = [resized_to(self.kept[i % count], shape, i // count) for i in range(TRIED)]
        arrays = np.stack(base)
        expected = self.reference(arrays)
        limit, faults, largest = self.tolerance.outputs or INT8_ROUNDING, [], 0.0
        try:
            if self.differs:
                expected = self.run(arrays, expected)  # compared with itself, so that only the batch is judged
            for size in SIZES:
                for first in range(0, TRIED, size):
                    part = {name: values[first : first + size] for name, values in expected.items()}
                    found = self.run(arrays[first : first + size], part)
                    gap = max(compare_arrays(part, found, self.spreads).values())
                    largest = max(largest, gap)
                    if not gap <= limit:
                        faults.append(f"{gap:.2g} with {min(size, TRIED - first)}")
        except FailedRunError as error:
            faults.append(str(error))
        sizes = ", ".join(map(str, SIZES))
        text = "; ".join(dict.fromkeys(faults)) or f"{largest:.2g} with batches of {sizes}"
        self.note("batch sizes", not faults, text, f"{limit:g} of the spread")
        if not faults:
            self.try_order(arrays, expected, limit)

    def try_order(self, arrays: NDArray[Any], expected: Arrays, limit: float) -> None:
        moved = {name: values[ORDER] for name, values in expected.items()}
        try:
            gap = max(compare_arrays(moved, self.run(arrays[ORDER], moved), self.spreads).values())
            text = f"{gap:.2g} with the samples in another order"
        except FailedRunError as error:
            gap, text = math.inf, str(error)
        self.note("order", gap <= limit, text, f"{limit:g} of the spread")

    def try_sizes(self) -> None:
        """Inputs of other sizes than the samples', resampled from them."""
        sizes = other_sizes(self.predictor, self.spec)
        if not sizes or not self.kept:
            return
        limit, faults, largest = self.tolerance.outputs or INT8_ROUNDING, [], 0.0
        if self.differs:
            limit = ELSEWHERE * max([0.0, *self.largest.values()]) + INT8_ROUNDING
        for size in sizes:
            arrays = np.stack([resized(array, size) for array in self.kept[:2]])
            expected = self.reference(arrays)
            try:
                gap = max(compare_arrays(expected, self.run(arrays, expected), self.spreads).values())
            except FailedRunError as error:
                faults.append(str(error))
                continue
            largest = max(largest, gap)
            if not gap <= limit:
                faults.append(f"{gap:.2g} at {' x '.join(map(str, size))}")
        named = ", ".join("x".join(map(str, size)) for size in sizes)
        self.note("other sizes", not faults, "; ".join(faults) or f"{largest:.2g} at {named}",
                  f"{limit:.2g} of the spread")  # fmt: skip

    def report(self, samples: Chosen, seconds: float) -> GateReport:
        name, bundle, exported = self.headline or ("", None, None)
        return GateReport(
            engine=str(getattr(self.exported, "engine", type(self.exported).__name__)), tolerance=self.tolerance,
            data=samples.source.name, split=samples.split, count=len(self.keys), available=len(samples.indices),
            metric=name, bundle=bundle, exported=exported, difference=self.difference, agreement=self.agreed,
            largest=self.largest, checks=tuple(self.checks), notes=tuple(self.notes), seconds=seconds,
        )  # fmt: skip
