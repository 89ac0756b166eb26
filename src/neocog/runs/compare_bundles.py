"""Comparing two bundles on the same samples: is one better, by how much, and on which samples do they differ?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.bundle import Predictor, load
from neocog.data import Source, fingerprint
from neocog.errors import ConfigError, DataError
from neocog.evaluation import Estimate, Evaluation
from neocog.evaluation.paired import McNemar, mcnemar, paired_bootstrap
from neocog.progress import note
from neocog.runs.evaluate_bundle import Chosen, Reading, check_modality, choose_records, choose_samples, score
from neocog.runs.measure import evaluate_records
from neocog.runs.split import count_seen
from neocog.tasks import Task

__all__ = ["Comparison", "Differing", "compare"]

SURE = 0.05  # the p-value below which two classifiers differ
MOST_LISTED = 1000  # samples on which two networks differ


@dataclass(frozen=True, slots=True)
class Differing:
    """A sample to which the two networks give different answers."""

    key: str
    target: str
    a: str
    b: str
    """The answers in a few words; empty for masks and boxes."""
    score_a: float
    score_b: float
    """The headline metric of this sample alone: 1 and 0 for right and wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two networks on the same samples."""

    a: str
    b: str
    data: str
    split: str
    count: int
    metric: str
    """The headline metric, by which they are compared."""
    lower_is_better: bool
    difference: Estimate
    """That of B minus that of A, over the same samples."""
    better: Literal["A", "B"] | None
    """None if the difference may be chance."""
    metrics: dict[str, tuple[Estimate, Estimate]]
    """All metrics of A and of B by name."""
    only_a: int | None
    only_b: int | None
    """Samples that only one of two classifiers gets right."""
    p_value: float | None
    """Of McNemar's exact test, for classifiers."""
    num_differing: int
    differing: list[Differing]
    """At most 1,000 samples to which they give different answers, the largest difference first."""

    def sentence(self) -> str:
        """The result in a sentence.

        >>> gain = Estimate(0.019, 0.0071, 0.0308, "Tango", is_share=True)
        >>> print(Comparison(a="", b="", data="", split="", count=1000, metric="accuracy", lower_is_better=False,
        ...     difference=gain, better="B", metrics={}, only_a=12, only_b=31, p_value=0.0053, num_differing=43,
        ...     differing=[]).sentence())
        B is better by 1.90 points of accuracy [0.71, 3.08]; 31 samples only B gets right, 12 only A (McNemar's exact
        test: p = 0.0053).
        """
        gap, towards = self.difference, -1 if self.lower_is_better else 1
        if self.better is None:
            unit = f" points of {self.metric}" if gap.is_share else f" in {self.metric}"
            bounds = f"[{number(gap, gap.low, '+')}, {number(gap, gap.high, '+')}]"
            text = f"A and B can't be told apart: B minus A is {number(gap, gap.value, '+')}{unit} {bounds}"
        else:
            towards *= 1 if self.better == "B" else -1
            low, high = sorted((towards * gap.low, towards * gap.high))
            unit = f" points of {self.metric}" if gap.is_share else f" in {self.metric}"
            bounds = f"[{number(gap, low)}, {number(gap, high)}]"
            text = f"{self.better} is better by {number(gap, towards * gap.value)}{unit} {bounds}"
        if self.p_value is None:
            return f"{text} ({gap.method})."
        right = f"{self.only_b:,} samples only B gets right, {self.only_a:,} only A"
        return f"{text}; {right} (McNemar's exact test: p = {self.p_value:.2g})."

    def to_json(self) -> dict[str, Any]:
        """All of it, for a program."""
        return {**asdict(self), "sentence": self.sentence()}


def number(estimate: Estimate, value: float, sign: str = "") -> str:
    """A difference as it is shown: in percentage points for a share."""
    return format(100 * value, f"{sign}.2f") if estimate.is_share else format(value, f"{sign}.4g")


def compare(
    a: str | Path | Predictor, b: str | Path | Predictor, data: object, **reading: Unpack[Reading]
) -> Comparison:
    """Compare two bundles, or predictors, on the same samples of a data set.

    Classifiers by McNemar's exact test and the paired difference of their accuracy; other networks by a paired
    bootstrap of their headline metric, which resamples the same samples for both. `reading` is as for `evaluate`, and
    as the first network was trained unless it says otherwise; samples that one of the two was trained on are left out
    where that is known.
    Raises ConfigError for networks with different tasks, DataError as `evaluate` does and if no sample is left.
    """
    pair = [each if isinstance(each, Predictor) else load(each) for each in (a, b)]
    tasks = [predictor.task for predictor in pair]
    if tasks[0].name != tasks[1].name:
        raise ConfigError(
            "Only networks with the same task can be compared.",
            received=f"one for {tasks[0].name} and one for {tasks[1].name}",
            fix="Compare each with another of its task.",
        )
    chosen = choose_samples(pair[0], data, **reading)
    check_modality(pair[1], chosen.source)
    chosen = keep_unseen(chosen, pair[1], reading.get("split"))
    for name, predictor in zip("AB", pair, strict=True):
        warn_of_seen(name, predictor, chosen)
    both = [score(predictor, chosen, reading.get("tta")) for predictor in pair]
    found = [
        evaluate_records(task, *scored, chosen.source, chosen.indices, chosen.split)
        for task, scored in zip(tasks, both, strict=True)
    ]
    names = [str(each) if isinstance(each, str | Path) else name for each, name in zip((a, b), "AB", strict=True)]
    return describe(names, tasks, both, found, chosen)


Scored = tuple[Any, NDArray[Any]]
"""Outputs of the samples as a task's `evaluate` takes them, and their targets."""


def describe(
    names: Sequence[str], tasks: Sequence[Task], both: Sequence[Scored], found: Sequence[Evaluation], chosen: Chosen
) -> Comparison:
    """The comparison of two networks whose outputs are known."""
    keys = chosen.keys
    metric, headline = next(iter(found[0].metrics.items()))
    lower = tasks[0].criterion.mode == "min" and tasks[0].criterion.metric == metric
    scores = [task.sample_scores(*scored, keys) for task, scored in zip(tasks, both, strict=True)]
    test: McNemar | None = None
    if tasks[0].by_class:
        test = mcnemar(scores[0] > 0.5, scores[1] > 0.5)
        difference, differ = test.difference, test.p_value < SURE
    else:
        of_a, of_b = (task.statistic(*scored, keys) for task, scored in zip(tasks, both, strict=True))
        difference = paired_bootstrap(of_a, of_b, len(keys), is_share=headline.is_share)
        differ = not difference.low <= 0 <= difference.high
    b_leads = (difference.value < 0) == lower
    differing = list_differing(tasks, both, scores, keys)
    return Comparison(
        a=names[0],
        b=names[1],
        data=found[0].data,
        split=chosen.split,
        count=len(keys),
        metric=metric,
        lower_is_better=lower,
        difference=difference,
        better=("B" if b_leads else "A") if differ else None,
        metrics={name: (value, found[1].metrics[name]) for name, value in found[0].metrics.items()
                 if name in found[1].metrics},
        only_a=None if test is None else test.only_a,
        only_b=None if test is None else test.only_b,
        p_value=None if test is None else test.p_value,
        num_differing=len(differing),
        differing=differing[:MOST_LISTED],
    )  # fmt: skip


def list_differing(
    tasks: Sequence[Task], both: Sequence[Scored], scores: Sequence[NDArray[np.float64]], keys: Sequence[str]
) -> list[Differing]:
    """The samples to which two networks give different answers, or that only one of them gets right."""
    gaps = np.nan_to_num(np.abs(scores[0] - scores[1]))
    differs, texts = gaps > 0, [[""] * len(keys)] * 2
    if not tasks[0].dense:
        answers = [
            task.predictions(keys, torch.from_numpy(scored), 1)
            for task, (scored, _) in zip(tasks, both, strict=True)
        ]  # fmt: skip
        texts = [
            [answer_text(prediction.cells(), task) for prediction in each]
            for task, each in zip(tasks, answers, strict=True)
        ]
        if tasks[0].has_probabilities:
            column = tasks[0].columns[0]
            differs |= [x.to_json()[column] != y.to_json()[column] for x, y in zip(*answers, strict=True)]
    targets = both[0][1]
    order = [i for i in np.argsort(-gaps, kind="stable").tolist() if differs[i]]
    return [
        Differing(
            keys[i], tasks[0].target_text(targets[i]), texts[0][i], texts[1][i],
            *(float(np.nan_to_num(score[i])) for score in scores),
        )
        for i in order
    ]  # fmt: skip


def answer_text(cells: dict[str, str], task: Task) -> str:
    """The cells of a prediction that are its answer."""
    shown = {name: cells[name] for name in task.columns if name in cells}
    if task.has_probabilities or len(shown) == 1:
        return " ".join(shown.values())
    return ", ".join(f"{name} {text}" for name, text in shown.items())


def keep_unseen(chosen: Chosen, other: Predictor, split: str | None) -> Chosen:
    """The samples that are also what the other network would be evaluated on. Raises DataError if none is left."""
    if split in ("train", "all"):
        return chosen
    indices, _ = choose_records(chosen.source, split, other)
    kept = np.intersect1d(chosen.indices, indices)
    if not len(kept):
        raise DataError(
            "Two networks are compared on samples that are new to both.", received="none",
            where=f"{chosen.source.name}, {chosen.split}",
            fix="Give another data set, or --split all to compare on what they were trained on.",
        )  # fmt: skip
    if len(kept) < len(chosen.indices):
        note(f"They are compared on the {len(kept):,} of {len(chosen.indices):,} samples that neither was trained on.")
    return replace(chosen, indices=kept)


def warn_of_seen(name: str, predictor: Predictor, chosen: Chosen) -> None:
    """A warning if the network was trained or selected on some of these samples."""
    source: Source = chosen.source
    lineage = [predictor.manifest.get("data", {}), *predictor.manifest.get("trained before on", [])]
    seen, _ = count_seen(lineage, source, fingerprint(source), chosen.indices)
    if seen:
        note(
            f"warning: {name} was trained or selected on {seen:,} of these {len(chosen.indices):,} samples, so it "
            "looks better than it is."
        )
