"""Trials with figures that a test chooses."""

from neocog.auto.candidate import Candidate
from neocog.auto.compare import Trial
from neocog.evaluation.intervals import wilson


def tried(
    place=0, rung=1, value=0.8, *, seconds=10.0, scored=1000, error="", history=(), samples=500, name="", trained=0.0,
    passes=0.0,
):  # fmt: skip
    """A trial of the candidate at this place, with the Wilson interval of `scored` samples."""
    found = wilson(round(value * scored), scored)
    return Trial(
        name=name or f"c{place}", candidate=place, rung=rung, seconds=seconds, total_seconds=seconds + 1, value=value,
        low=found.low, high=found.high, samples=0 if error else samples, scored=scored, by="validation data",
        history=tuple(history), trained=trained, error=error, passes=passes,
    )  # fmt: skip


def table(count, *transfers):
    """So many candidates; those at `transfers` start from weights of ImageNet."""
    return [Candidate(f"c{k}", {"model.head": "logistic"} if k in transfers else {}) for k in range(count)]
