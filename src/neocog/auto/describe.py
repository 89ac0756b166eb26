"""The search as a report shows it, from its journal and the final evaluation."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neocog.auto.compare import Trial
from neocog.auto.decide import Choice
from neocog.auto.say import choice_lines
from neocog.evaluation import Classified, Evaluation
from neocog.evaluation.intervals import wilson
from neocog.progress import note
from neocog.runs.prepare import Prepared

if TYPE_CHECKING:
    from neocog.report import Search, Tried  # with matplotlib, which takes a second to import

__all__ = ["describe_search", "weak_classes"]

ROUNDS = {0: "frozen features", 1: "first round", 2: "second round"}
MOST_NAMED = 5


def describe_search(steps: Mapping[str, Any], evaluation: Evaluation, prepared: Prepared) -> "Search":
    """A search for a report; `steps` are those of its journal."""
    from neocog.report import Search

    choice = Choice.from_json(steps["choice"])
    weak = weak_classes(evaluation, prepared)
    for line in weak:
        note(line)
    trials = [Trial.from_json(found) for key, found in steps.items() if key.startswith(("probe-", "trial-"))]
    return Search(
        seen=steps["look"].get("lines", ()),
        tried=[describe_trial(trial, choice) for trial in trials],
        chosen=[*choice_lines(choice), *weak],
    )


def describe_trial(trial: Trial, choice: Choice) -> "Tried":
    from neocog.report import Tried

    return Tried(
        name=trial.name,
        round=ROUNDS[trial.rung],
        figure=trial.error or f"{trial.value:.1%} [{trial.low:.1%}, {trial.high:.1%}]",
        by=trial.by,
        seconds=trial.total_seconds,
        samples=trial.samples,
        chosen=trial.candidate == choice.candidate,
        curve=trial.history if trial.rung else (),
    )


def weak_classes(evaluation: Evaluation, prepared: Prepared) -> list[str]:
    """Sentences on the classes that need samples: those whose recall is below the accuracy by more than chance.

    Classes that are never recognised count whatever their number; and it is said if answering the commonest class
    always would be as good as the network.
    """
    if not isinstance(evaluation, Classified):
        return []
    counts = np.bincount(prepared.source.targets[prepared.splits.train], minlength=len(evaluation.per_class))
    accuracy = next(iter(evaluation.metrics.values())).value
    weak = [
        (figures.recall, f"{figures.name} (recall {figures.recall:.0%}, {count:,} training samples)")
        for figures, count in zip(evaluation.per_class, counts.tolist(), strict=True)
        if figures.support and is_weak(figures.recall, figures.support, accuracy)
    ]
    lines = no_better_than_guessing(evaluation, accuracy)
    if not weak:
        return lines
    named = [text for _, text in sorted(weak)[:MOST_NAMED]]
    more = f" and {len(weak) - MOST_NAMED} more" if len(weak) > MOST_NAMED else ""
    return [*lines, f"these classes need samples most: {'; '.join(named)}{more}"]


def is_weak(recall: float, support: int, accuracy: float) -> bool:
    """Whether a class is recognised less often than the others by more than chance, or never."""
    hits = round(recall * support)
    return wilson(hits, support).high < accuracy or (not hits and accuracy > 0.5)


def no_better_than_guessing(evaluation: Classified, accuracy: float) -> list[str]:
    """A sentence if the commonest class has a share of the samples that the accuracy does not surpass."""
    most = max(evaluation.per_class, key=lambda figures: figures.support)
    total = sum(figures.support for figures in evaluation.per_class)
    if not total or accuracy > most.support / total:
        return []
    return [f"answering {most.name!r} always would be right as often: {most.support / total:.1%} of the samples are"]
