"""Batch normalisation: each channel brought to mean 0 and variance 1, then scaled and shifted by what is learned.

    z = (x - mean) / sqrt(var + eps),   y = gamma z + beta

In training, mean and variance are those of the channel over the batch and all positions, so every sample's output
depends on all the others, and the gradient must too. Frozen, they are running averages from training, constants.

Source: Ioffe & Szegedy 2015, "Batch normalization", algorithm 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from neocog.errors import ConfigError, GeometryError
from neocog.reference.axes import Array, check_shape, floats

__all__ = ["RunningStatistics", "batch_norm", "batch_norm_backward"]


@dataclass(frozen=True, slots=True)
class RunningStatistics:
    """Statistics of each channel for use after training: mean (C,) and unbiased variance (C,)."""

    mean: Array
    var: Array


def batch_norm(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    running: RunningStatistics | None = None,
    *,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, RunningStatistics]:
    """Normalise each channel; gives y and the running statistics.

    In training these move towards those of the batch, from mean 0 and variance 1 where none are given:

        running = (1 - momentum) running + momentum * batch

    The batch is normalised with its variance over M values, sum/M; the running one takes the unbiased sum/(M - 1).
    Frozen, with `training=False`, `running` is used and comes back unchanged.
    Shapes: x (N, C, *any), gamma and beta (C,) -> like x. Raises GeometryError if a channel has one value to learn
    from, ConfigError where frozen statistics are missing.

    >>> y, running = batch_norm([[1.0], [3.0]], gamma=[1.0], beta=[5.0], eps=0.0)
    >>> y.tolist(), running.mean.tolist(), running.var.tolist()
    ([[4.0], [6.0]], [0.2], [1.1])
    """
    inputs = floats(x)
    gammas, betas = per_channel("gamma", gamma, inputs), per_channel("beta", beta, inputs)
    z, _ = normalise(inputs, running, training, eps)
    if training:
        before = running or RunningStatistics(np.zeros(inputs.shape[1]), np.ones(inputs.shape[1]))
        mean, var = (statistic.ravel() for statistic in batch_statistics(inputs))
        count = inputs.size / inputs.shape[1]
        after = RunningStatistics(
            (1 - momentum) * before.mean + momentum * mean,
            (1 - momentum) * before.var + momentum * var * count / (count - 1),
        )
    else:
        assert running is not None, "normalise has checked"
        after = running
    return gammas * z + betas, after


def batch_norm_backward(
    delta: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike,
    running: RunningStatistics | None = None,
    *,
    training: bool = True,
    eps: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """Gradients with respect to x, gamma and beta, given that with respect to y.

    beta and gamma multiply 1 and z: dbeta = sum delta, dgamma = sum delta z, over batch and positions. Behind z
    the deltas are g = gamma delta. Frozen, dx = g / sigma. In training x also moves the mean and sigma:

        dx = (g - mean(g) - z mean(g z)) / sigma

    The mean's part: dz_j/dx_i holds -1/(M sigma) for every j, which takes off the mean of g. Sigma's part:
    dsigma/dx_i = z_i / M and dz_j/dsigma = -z_j / sigma, which takes off z_i times the mean of g z. So nothing of g is
    left along the ones and along z, the two directions in which x can move without changing z.
    Shapes: delta like x -> (dx, dgamma, dbeta) of the shapes of x, (C,) and (C,).
    """
    deltas, inputs = floats(delta), floats(x)
    gammas = per_channel("gamma", gamma, inputs)
    check_shape("delta", deltas, inputs.shape, "the input")
    z, sigma = normalise(inputs, running, training, eps)
    axes = channel_axes(inputs)
    g = gammas * deltas
    if training:
        g = g - g.mean(axes, keepdims=True) - z * (g * z).mean(axes, keepdims=True)
    return g / sigma, (deltas * z).sum(axes), deltas.sum(axes)


def normalise(x: Array, running: RunningStatistics | None, training: bool, eps: float) -> tuple[Array, Array]:
    """z and sigma = sqrt(var + eps)."""
    if training:
        if x.size == x.shape[1]:
            raise GeometryError(
                "Statistics of a channel need more than one value.",
                received=f"x {x.shape}",
                fix="Use a larger batch, or frozen statistics with training=False.",
            )
        mean, var = batch_statistics(x)
    elif running is None:
        raise ConfigError(
            "Frozen batch normalisation needs running statistics.", received="none", fix="Give running=..."
        )
    else:
        mean, var = per_channel("running.mean", running.mean, x), per_channel("running.var", running.var, x)
    sigma = np.sqrt(var + eps)
    return (x - mean) / sigma, sigma


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Mean and variance (over M, biased) of each channel over batch and positions; (1, C, 1, ...) each."""
    axes = channel_axes(x)
    return floats(x.mean(axes, keepdims=True)), floats(x.var(axes, keepdims=True))


def channel_axes(x: Array) -> tuple[int, ...]:
    """All axes but that of the channels."""
    return (0, *range(2, x.ndim))


def per_channel(name: str, values: ArrayLike, x: Array) -> Array:
    """One value for each channel, laid along the channels of x; (C,) -> (C, 1, ...)."""
    found = floats(values)
    if x.ndim < 2 or found.shape != x.shape[1:2]:
        raise GeometryError(
            f"{name} has one value for each channel of x (N, C, ...).", received=f"{name} {found.shape}, x {x.shape}"
        )
    return found.reshape(-1, *[1] * (x.ndim - 2))
