"""Preconditioned L-BFGS for several convex problems at once.

The problems share their data, so that one matrix product serves all of them; each has its own history and step size.
Source: Nocedal & Wright, "Numerical Optimization", 2nd edition, algorithm 7.4.
"""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["minimise"]

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]
"""x (P, *shape) -> values (P,) and gradients (P, *shape)."""

HISTORY = 8
DECREASE = 1e-4  # Armijo's share of the decrease that the slope promises
HALVINGS = 20


def minimise(
    objective: Objective,
    start: Tensor,
    precondition: Callable[[Tensor], Tensor],
    *,
    tolerance: float,
    max_steps: int = 200,
) -> Tensor:
    """The minimisers (P, *shape) of P smooth convex functions, from `start` (P, *shape).

    `precondition` multiplies gradients by an approximate inverse Hessian. A problem is done once the decrease that the
    next step promises, half of gradient * step, is below `tolerance`.

    >>> target = torch.tensor([[1.0, 2.0], [3.0, -4.0]])
    >>> quadratic = lambda x: (((x - target) ** 2).sum(1), 2 * (x - target))
    >>> minimise(quadratic, torch.zeros(2, 2), lambda g: g, tolerance=1e-9).allclose(target, atol=1e-4)
    True
    """
    x = start
    value, gradient = objective(x)
    history: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=HISTORY)
    for _ in range(max_steps):
        direction = -two_loops(gradient, history, precondition)
        slope = dot(gradient, direction)
        active = -slope / 2 > tolerance
        if not bool(active.any()):
            break
        step = active.to(x.dtype)
        for _ in range(HALVINGS):
            moved = x + widen(step, x) * direction
            new_value, new_gradient = objective(moved)
            bad = active & ~(new_value <= value + DECREASE * step * slope)
            if not bool(bad.any()):
                break
            step = torch.where(bad, step / 2, step)
        else:
            break  # rounding hides what is left
        s, y = moved - x, new_gradient - gradient
        curvature = dot(s, y)
        rho = torch.where(curvature > 0, 1 / curvature.clamp_min(torch.finfo(x.dtype).tiny), 0)
        history.append((s, y, rho))
        x, value, gradient = moved, new_value, new_gradient
    return x


def two_loops(
    gradient: Tensor, history: deque[tuple[Tensor, Tensor, Tensor]], precondition: Callable[[Tensor], Tensor]
) -> Tensor:
    """The gradient times the current approximation of the inverse Hessian."""
    q, alphas = gradient, []
    for s, y, rho in reversed(history):
        alpha = rho * dot(s, q)
        alphas.append(alpha)
        q = q - widen(alpha, q) * y
    r = precondition(q)
    for (s, y, rho), alpha in zip(history, reversed(alphas), strict=True):
        r = r + widen(alpha - rho * dot(y, r), r) * s
    return r


def dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def widen(factor: Tensor, like: Tensor) -> Tensor:
    return factor.view(-1, *[1] * (like.ndim - 1))
