"""A run whose number of steps changes during training: the rate of a step is that of the plan at the same position.

A plan has N steps. A replan (S, T) says that the total became T after S steps. The planned step of step s is s before
the first replan; from a replan on it goes evenly to N as the step goes to T:

    planned(s) = planned(S) + (N - planned(S)) (s - S) / (T - S)

so every schedule keeps its shape, whatever the time that is left. The position of a step is planned(s) / N.
"""

from collections.abc import Sequence

from pydantic_core import PydanticCustomError

from neocog.errors import ConfigError

__all__ = ["Replans", "check_replans", "check_texts", "planned_step", "read_replans", "total_steps", "write_replans"]

Replans = Sequence[Sequence[int]]
"""Pairs of a step and the total number of steps that was decided on after it."""


def total_steps(planned: int, replans: Replans, step: int | None = None) -> int:
    """The number of steps of the run, as it is known after this many steps; None: after all.

    >>> total_steps(100, [[40, 60], [50, 55]]), total_steps(100, [[40, 60], [50, 55]], step=40), total_steps(100, [])
    (55, 60, 100)
    """
    total = planned
    for at, then in replans:
        if step is None or at <= step:
            total = then
    return total


def planned_step(step: int, planned: int, replans: Replans) -> int | float:
    """The step of the plan at the same position; the step itself, a whole number, before the first replan.

    >>> [planned_step(step, 8, [[4, 6]]) for step in range(6)]
    [0, 1, 2, 3, 4.0, 6.0]
    """
    start, there, total = 0, 0.0, planned

    def follow(at: int) -> float:
        """The planned step of a step since the last replan."""
        return there + (planned - there) * (at - start) / (total - start) if total > start else float(planned)

    found: int | float = step
    for i, (at, then) in enumerate(replans):
        if at > step:
            break
        there = follow(at) if i else float(at)
        start, total = at, then
        found = follow(step)
    return found


def read_replans(texts: Sequence[str]) -> list[list[int]]:
    """Replans from texts such as "1200 2100": at step 1200 the total became 2100. Raises ValueError.

    >>> read_replans(("1200 2100", "1800 1900"))
    [[1200, 2100], [1800, 1900]]
    """
    found: list[list[int]] = []
    for text in texts:
        words = text.split()
        if len(words) != 2 or not all(word.isascii() and word.isdecimal() for word in words):
            raise ValueError(f"a change of plan must read 'STEP TOTAL', as in '1200 2100', unlike {text!r}")
        step, total = map(int, words)
        last = found[-1] if found else [-1, step + 1]
        if step <= last[0] or step >= last[1] or total < max(step, 1):
            raise ValueError(f"the steps of changes must rise, and each total must lie ahead, unlike in {text!r}")
        found.append([step, total])
    return found


def write_replans(replans: Replans) -> tuple[str, ...]:
    """The inverse of `read_replans`."""
    return tuple(f"{step} {total}" for step, total in replans)


def check_texts(texts: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The texts unchanged, for a setting. Raises pydantic's error if they can't be read."""
    try:
        read_replans(texts or ())
    except ValueError as error:
        raise PydanticCustomError("replanned", "{reason}", {"reason": str(error)}) from None
    return texts


def check_replans(texts: Sequence[str], planned: int) -> None:
    """Raises ConfigError if the first change comes after the end of a run of `planned` steps."""
    first = read_replans(texts)[:1]
    if first and first[0][0] >= planned:
        raise ConfigError(
            "The steps of train.replanned must be within the run that train.epochs plans.",
            received=f"a change after step {first[0][0]:,} of {planned:,}",
            fix="Repeat the run with its own data and train.batch_size, or remove train.replanned.",
        )
