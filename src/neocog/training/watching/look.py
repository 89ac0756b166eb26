"""One step of a network, looked at: gradients and activations, and what is dead in it."""

from collections.abc import Mapping

from torch import Tensor, nn

from neocog.training.watching.activations import Activations, run_unseen
from neocog.training.watching.gradients import Size, gradient_norms, gradient_sizes, without_gradient

__all__ = ["Look", "Streaks"]

LEARNT = 1e-6  # below such a loss gradients may round to zero, with nothing wrong


class Look:
    """Looks at the step that is under way; `remove` takes away its hooks. With `check`, dead layers are looked for."""

    def __init__(self, model: nn.Module, stages: Mapping[str, nn.Module], *, check: bool) -> None:
        self.model, self.stages, self.check = model, stages, check
        self.activations = Activations(model, stages, dead=check)
        self.sizes: dict[str, Size] = {}

    def run(self, inputs: Tensor) -> None:
        """See activations in a pass of its own, where the network trains compiled."""
        run_unseen(self.model, inputs)
        self.remove()

    def read_gradients(self) -> None:
        self.remove()
        self.sizes = gradient_sizes(self.model)

    def remove(self) -> None:
        self.activations.remove()

    def gradient_norms(self) -> dict[str, float]:
        """Euclidean norm by stage."""
        return gradient_norms(self.sizes, self.stages, type(self.model).__name__)

    def activation_sizes(self) -> dict[str, float]:
        """RMS by stage."""
        return self.activations.rms()

    def dead(self, loss: float) -> tuple[list[str], list[str]]:
        """Activations that are zero throughout, and layers whose gradient is."""
        return self.activations.dead(), without_gradient(self.sizes) if loss > LEARNT else []


class Streaks:
    """How often in a row something was dead: what is dead once may have been unlucky.

    >>> streaks = Streaks(needed=2)
    >>> streaks.add(["relu"], ["conv"]), streaks.add(["relu"], [])
    (([], []), (['relu'], []))
    """

    def __init__(self, needed: int) -> None:
        self.needed = needed
        self.counts: tuple[dict[str, int], dict[str, int]] = {}, {}

    def add(self, activations: list[str], layers: list[str]) -> tuple[list[str], list[str]]:
        """One more look; gives what was dead in each of the last ones, as many as are needed."""
        before = self.counts
        self.counts = counted(before[0], activations), counted(before[1], layers)
        return self.lasting(self.counts[0]), self.lasting(self.counts[1])

    def lasting(self, counts: Mapping[str, int]) -> list[str]:
        return [name for name, count in counts.items() if count >= self.needed]


def counted(before: Mapping[str, int], now: list[str]) -> dict[str, int]:
    return {name: before.get(name, 0) + 1 for name in now}
