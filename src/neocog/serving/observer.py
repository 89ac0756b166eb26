"""The figures that a server gives while it runs: for metrics, and to find drift."""

from typing import Any, Protocol

from torch import Tensor

__all__ = ["Observer", "Silent"]


class Observer(Protocol):
    """Is told of each batch. The calls come from the engine's thread: they are short, and never raise."""

    def batch(self, name: str, size: int, seconds: float, waited: float) -> None:
        """A batch of `size` inputs took `seconds` to compute, and its first waited `waited` seconds for it."""

    def answered(self, name: str, decoded: Tensor | None, outputs: Any) -> None:
        """Decoded inputs (N, *shape) before they are normalised, and their logits (N, K).

        For a network whose outputs have places: None, and the list of its predictions.
        """


class Silent:
    """Tells nobody."""

    def batch(self, name: str, size: int, seconds: float, waited: float) -> None:
        return

    def answered(self, name: str, decoded: Tensor | None, outputs: Any) -> None:
        return
