"""Training a NumPy network: the loop, with nothing left out."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neocog.errors import ConfigError, DataError, DivergenceError
from neocog.progress import Bar
from neocog.reference.network import Network
from neocog.reference.updates import Rule
from neocog.rng import permute

__all__ = ["train_network"]


def train_network(
    network: Network,
    x: ArrayLike,
    labels: NDArray[np.integer],
    rule: Rule,
    *,
    epochs: int = 1,
    batch_size: int = 64,
    seed: int = 0,
) -> list[float]:
    """Go through the samples in a new order for each epoch, a step of the rule for each batch; gives the losses.

    The order is a function of (seed, epoch), so the same call gives the same weights. The network's weights are
    replaced. Shapes: x (N, ...), labels (N,) -> one mean loss for each batch; the last batch may be smaller.
    Raises DataError if samples and labels don't match, ConfigError for numbers below 1, DivergenceError for a loss
    that is not a number.
    """
    inputs = np.asarray(x)
    if len(inputs) != len(labels) or not len(inputs):
        raise DataError("Each sample needs one label.", received=f"{len(inputs)} samples, {len(labels)} labels")
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1.", received=f"{value}")
    losses: list[float] = []
    starts = range(0, len(inputs), batch_size)
    with Bar("training in NumPy", epochs * len(starts)) as bar:
        for epoch in range(epochs):
            order = permute(np.arange(len(inputs)), len(inputs), seed, epoch)
            for start in starts:
                batch = order[start : start + batch_size]
                loss, gradients = network.loss_and_gradients(inputs[batch], labels[batch])
                if not np.isfinite(loss):
                    raise DivergenceError(
                        f"The loss became {loss} at step {len(losses)} of epoch {epoch}. Use a smaller learning rate."
                    )
                network.weights = rule.step(network.weights, gradients)
                losses.append(loss)
                bar.draw(len(losses), f"epoch {epoch + 1}/{epochs}  loss {loss:.3f}")
    return losses
