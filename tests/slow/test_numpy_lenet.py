"""The proof that the written-out mathematics learns: `make test-slow`."""

import time

import pytest

from neocog.data import open_source
from neocog.reference import Momentum, lenet, train_network

pytestmark = pytest.mark.slow


def test_a_lenet_in_numpy_reaches_97_percent_on_mnist():
    """No autograd: the operators and hand-derived gradients of `neocog.reference` alone, within ten minutes."""
    source = open_source("mnist")
    parts = {}
    for split in ("train", "test"):
        indices = source.splits[split]
        parts[split] = source.pictures(indices)[:, None], source.targets[indices]
    network, began = lenet(seed=0), time.perf_counter()
    images, labels = parts["train"]
    losses = train_network(network, images / 255.0, labels, Momentum(lr=0.01), epochs=2, batch_size=32)
    seconds = time.perf_counter() - began
    accuracy = network.accuracy(parts["test"][0] / 255.0, parts["test"][1])
    last = sum(losses[-100:]) / 100
    print(f"LeNet in NumPy: {accuracy:.2%} on the test digits after 2 epochs, loss {last:.4f}, {seconds:.0f} seconds")
    assert accuracy >= 0.97
    assert seconds <= 600
