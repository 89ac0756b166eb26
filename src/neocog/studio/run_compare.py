"""Two runs compared sample by sample, with the scores of the first if they are known."""

from dataclasses import replace

import numpy as np

from neocog.errors import ConfigError
from neocog.runs import Run
from neocog.runs.compare_bundles import Comparison, describe, keep_unseen, warn_of_seen
from neocog.runs.evaluate_bundle import Chosen, check_modality
from neocog.studio.jobs import Job
from neocog.studio.run_data import Scored, score_chosen, score_key, score_run
from neocog.studio.state import Studio

__all__ = ["compare_runs", "only"]


def compare_runs(studio: Studio, job: Job, names: tuple[str, str], runs: tuple[Run, Run]) -> Comparison:
    """As `neocog.compare` does, with the scores of the first run if they are known."""
    known = studio.jobs.jobs.get(score_key(names[0]))
    first: Scored = known.result if known and known.state == "done" else score_run(studio, names[0], runs[0], None)(job)
    other = studio.open_network(runs[1].bundle, runs[1].path).predictor
    if first.task.name != other.task.name:
        raise ConfigError(
            "Only networks with the same task can be compared.",
            received=f"one for {first.task.name} and one for {other.task.name}",
            fix="Compare each with another of its task.",
        )
    check_modality(other, first.chosen.source)
    chosen = keep_unseen(first.chosen, other, None)
    for name, predictor in zip(names, (first.predictor, other), strict=True):
        warn_of_seen(name, predictor, chosen)
    a = first if len(chosen.indices) == len(first.chosen.indices) else only(first, chosen)
    b = score_chosen(other, chosen)
    job.progress("comparing", 0.0)
    both = [(each.outputs, each.targets) for each in (a, b)]
    return describe(names, [first.task, other.task], both, [a.evaluation, b.evaluation], chosen)


def only(scored: Scored, chosen: Chosen) -> Scored:
    """The scores of some of the samples."""
    kept = np.flatnonzero(np.isin(scored.chosen.indices, chosen.indices))
    outputs = [scored.outputs[i] for i in kept.tolist()] if isinstance(scored.outputs, list) else scored.outputs[kept]
    part = replace(scored, chosen=chosen, outputs=outputs, targets=scored.targets[kept],
                   keys=[scored.keys[i] for i in kept.tolist()])  # fmt: skip
    found = scored.task.evaluate(outputs, part.targets, part.keys, data=scored.evaluation.data, split=chosen.split)
    return replace(part, evaluation=found)
