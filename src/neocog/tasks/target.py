"""A number among the outputs of a network, which an explanation is about."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from neocog.errors import ConfigError, did_you_mean

__all__ = ["Target", "find_output"]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One output, at one place or averaged over several, before softmax or sigmoid."""

    text: str
    """In a few words: `class cat`, `nucleus at 120, 80`."""
    channel: int
    """Of the outputs (N, K) or (N, K, *places)."""
    place: tuple[int, ...] = ()
    """Of the outputs, if they have places."""
    where: Tensor | None = None
    """The places over which it is averaged, (*places) of bool."""
    box: tuple[float, ...] | None = None
    """Left, top, right, bottom of an object, in steps of the network's input."""

    def of(self, outputs: Tensor) -> Tensor:
        """Outputs (N, K) or (N, K, *places) -> one number for each input, (N,)."""
        rows = outputs[:, self.channel]
        if self.where is not None:
            return rows[:, self.where.to(rows.device)].mean(dim=1)
        for at in self.place:
            rows = rows[:, at]
        return rows


def find_output(spec: str | int, names: Sequence[str]) -> int:
    """The output that a name or a number stands for; a name comes first. Raises ConfigError for an unknown one.

    >>> find_output("dog", ["cat", "dog"]), find_output(-1, ["cat", "dog"])
    (1, 1)
    """
    if str(spec) in names:
        return list(names).index(str(spec))
    try:
        number = int(spec)
    except ValueError:
        number = len(names)
    if not -len(names) <= number < len(names):
        raise ConfigError(
            f"A target is one of the {len(names)} outputs, by name or by number.",
            received=repr(spec),
            fix=did_you_mean(str(spec), names),
        )
    return number % len(names)
