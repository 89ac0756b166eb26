"""The sentences of a search, for the terminal and the report."""

from collections.abc import Sequence

from neocog.auto.decide import Choice
from neocog.auto.facts import Facts

__all__ = ["choice_lines", "fact_lines"]


def fact_lines(facts: Facts, look: Sequence[str]) -> list[str]:
    """Facts about the data."""
    counts = f"{facts.num_train:,} training and validation samples of {facts.num_classes} classes"
    return list(look) or [f"{counts}, {facts.num_test:,} to test"]


def choice_lines(choice: Choice) -> list[str]:
    """The choice with its reason, and the gain from more time or more samples."""
    lines = [f"chosen: {choice.name}: {choice.reason}"]
    if choice.seconds is not None:
        lines.append(f"trained for about {choice.seconds:.0f} s only: in the race, more time gained nothing")
    for figures, what in ((choice.more_time, "time"), (choice.more_images, "training samples")):
        if figures is not None:
            value, low, high = (f"{100 * figure:+.1f}" for figure in figures)
            lines.append(f"twice the {what} would change it by about {value} points (95%: {low} to {high})")
    return lines
