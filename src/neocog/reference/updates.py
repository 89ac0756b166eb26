"""How weights follow gradients: one step of each rule, as it is written in textbooks, and what it remembers.

In all of them w are weights, g = dE/dw, and lr is the learning rate. Nothing is changed in place; the new weights come
back with what the next step needs.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import ConfigError
from neocog.reference.axes import Array, floats

__all__ = ["SGD", "Adam", "Momentum", "Rule", "adam", "momentum", "sgd"]


def sgd(w: ArrayLike, g: ArrayLike, lr: float) -> Array:
    """w' = w - lr g: downhill, as far as it is steep.

    >>> sgd([1.0], [0.5], lr=0.1).tolist()
    [0.95]
    """
    return floats(w) - lr * floats(g)


def momentum(w: ArrayLike, g: ArrayLike, velocity: ArrayLike, lr: float, mu: float = 0.9) -> tuple[Array, Array]:
    """v' = mu v + g,  w' = w - lr v': gradients that agree add up, to 1 / (1 - mu) times one of them.

    Source: Polyak 1964, as Sutskever et al. 2013 write it but for the place of lr, which is torch's.

    >>> [part.tolist() for part in momentum([1.0], [0.5], velocity=[1.0], lr=0.1, mu=0.5)]
    [[0.9], [1.0]]
    """
    moved = mu * floats(velocity) + floats(g)
    return floats(w) - lr * moved, moved


def adam(
    w: ArrayLike,
    g: ArrayLike,
    mean: ArrayLike,
    square: ArrayLike,
    step: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """Steps of about lr in every weight, whatever the size of its gradients; gives w', m' and s'.

        m' = b1 m + (1 - b1) g,    s' = b2 s + (1 - b2) g^2
        w' = w - lr (m' / (1 - b1^t)) / (sqrt(s' / (1 - b2^t)) + eps)

    m and s begin at 0 and after t steps have taken in a share 1 - b^t of the gradients; dividing by it fixes that.
    `step` is t, from 1. Source: Kingma & Ba 2015, algorithm 1.

    >>> adam([1.0], [0.5], mean=[0.0], square=[0.0], step=1, lr=0.1)[0].round(6).tolist()
    [0.9]
    """
    b1, b2 = betas
    gradients = floats(g)
    mean = b1 * floats(mean) + (1 - b1) * gradients
    square = b2 * floats(square) + (1 - b2) * gradients**2
    return floats(w) - lr * (mean / (1 - b1**step)) / (np.sqrt(square / (1 - b2**step)) + eps), mean, square


class Rule(Protocol):
    """A rule with its memory, for many arrays of weights."""

    def step(self, weights: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        """The weights after one step; always the same arrays in the same order."""
        ...


class SGD:
    """`sgd` for many arrays; it remembers nothing."""

    def __init__(self, lr: float) -> None:
        self.lr = positive("lr", lr)

    def step(self, weights: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        return [sgd(w, g, self.lr) for w, g in zip(weights, gradients, strict=True)]


class Momentum:
    """`momentum` for many arrays; it remembers the velocity of each."""

    def __init__(self, lr: float, mu: float = 0.9) -> None:
        self.lr, self.mu = positive("lr", lr), mu
        self.velocities: list[Array] = []

    def step(self, weights: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        self.velocities = self.velocities or [np.zeros_like(w) for w in weights]
        rows = zip(weights, gradients, self.velocities, strict=True)
        moved = [momentum(w, g, v, self.lr, self.mu) for w, g, v in rows]
        self.velocities = [v for _, v in moved]
        return [w for w, _ in moved]


class Adam:
    """`adam` for many arrays; it remembers both means of each, and counts the steps."""

    def __init__(self, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        self.lr, self.betas, self.eps = positive("lr", lr), betas, eps
        self.means: list[Array] = []
        self.squares: list[Array] = []
        self.count = 0

    def step(self, weights: Sequence[Array], gradients: Sequence[Array]) -> list[Array]:
        self.means = self.means or [np.zeros_like(w) for w in weights]
        self.squares = self.squares or [np.zeros_like(w) for w in weights]
        self.count += 1
        rows = zip(weights, gradients, self.means, self.squares, strict=True)
        moved = [adam(w, g, m, s, self.count, self.lr, self.betas, self.eps) for w, g, m, s in rows]
        self.means, self.squares = [m for _, m, _ in moved], [s for _, _, s in moved]
        return [w for w, _, _ in moved]


def positive(name: str, value: float) -> float:
    """Raises ConfigError for a number that is not above 0."""
    if not value > 0:
        raise ConfigError(f"{name} must be above 0.", received=f"{value}")
    return value
