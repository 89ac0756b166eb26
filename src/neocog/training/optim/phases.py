"""A schedule in phases, one after the other, each written as a short phrase."""

import math
import re
from functools import lru_cache
from typing import NamedTuple

from pydantic_core import PydanticCustomError

__all__ = ["Phase", "check_phases", "phase_share", "read_phases"]

NUMBER = r"(\d+(?:\.\d*)?(?:e-?\d+)?|\.\d+)"
MOVE = re.compile(rf"(linear|cosine) {NUMBER}(?: from {NUMBER})? to {NUMBER}")
STAY = re.compile(rf"constant {NUMBER}(?: at {NUMBER})?")


class Phase(NamedTuple):
    """A curve over a number of epochs, between two shares of the full rate."""

    shape: str
    epochs: float
    start: float
    end: float


@lru_cache(maxsize=64)
def read_phases(texts: tuple[str, ...]) -> tuple[Phase, ...]:
    """Phases from text. A phase without a start begins where the one before ended.

        linear EPOCHS [from SHARE] to SHARE     a straight line
        cosine EPOCHS [from SHARE] to SHARE     half a cosine
        constant EPOCHS [at SHARE]              no change

    Raises ValueError for any other phrase, a first phase without its start, shares outside 0 to 1, and zero epochs.

    >>> read_phases(("linear 1 from 0 to 1", "constant 2"))
    (Phase(shape='linear', epochs=1.0, start=0.0, end=1.0), Phase(shape='constant', epochs=2.0, start=1.0, end=1.0))
    """
    phases: list[Phase] = []
    for text in texts:
        phase = read_phase(text, phases[-1].end if phases else None)
        if not 0 < phase.epochs < math.inf:
            raise ValueError(f"a phase must last longer than 0 epochs, unlike {text!r}")
        if not (0 <= phase.start <= 1 and 0 <= phase.end <= 1):
            raise ValueError(f"shares of the full rate must be from 0 to 1, unlike in {text!r}")
        phases.append(phase)
    return tuple(phases)


def read_phase(text: str, before: float | None) -> Phase:
    """One phase, after one that ended at the share `before`; None: it is the first."""
    words = " ".join(text.split())
    move, stay = MOVE.fullmatch(words), STAY.fullmatch(words)
    if move:
        shape, epochs, start, end = move.groups()
    elif stay:
        shape, (epochs, start) = "constant", stay.groups()
        end = start
    else:
        raise ValueError(
            f"a phase must read 'linear EPOCHS [from SHARE] to SHARE', 'cosine EPOCHS [from SHARE] to SHARE' or "
            f"'constant EPOCHS [at SHARE]', unlike {text!r}"
        )
    if start is None and before is None:
        raise ValueError(
            f"the first phase must say where it starts, as in 'linear 1 from 0 to 1' or 'constant 5 at 1', "
            f"unlike {text!r}"
        )
    begin = before if start is None else float(start)
    assert begin is not None
    return Phase(shape, float(epochs), begin, begin if end is None else float(end))


def check_phases(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The texts unchanged, for a setting. Raises pydantic's error if they can't be read."""
    try:
        read_phases(texts)
    except ValueError as error:
        raise PydanticCustomError("phases", "{reason}", {"reason": str(error)}) from None
    return texts


def phase_share(phases: tuple[Phase, ...], step: float, epoch_steps: int) -> float:
    """Share of the full rate at a step; after the last phase, its end.

    A rise reaches its end at its last step, as a warm-up does, and begins one step above its start; a fall has its
    start at its first step, and its end just after its last. So no step is spent at a rate of zero.

    >>> phases = read_phases(("linear 1 from 0 to 1", "linear 2 to 0"))
    >>> [phase_share(phases, step, epoch_steps=2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    epochs = 0.0
    for phase in phases:
        first, epochs = round(epochs * epoch_steps), epochs + phase.epochs
        after = round(epochs * epoch_steps)
        if step < after:
            through = min(1.0, (step - first + (phase.end > phase.start)) / (after - first))
            if phase.shape == "cosine":
                through = (1 - math.cos(math.pi * through)) / 2
            return phase.start + (phase.end - phase.start) * through
    return phases[-1].end
