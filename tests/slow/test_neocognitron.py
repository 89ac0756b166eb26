"""The proof that the neocognitron reads: `make test-slow`."""

import time

import pytest
import torch

from neocog.data import open_source
from neocog.zoo.networks.neocognitron import Neocognitron

pytestmark = pytest.mark.slow


def test_a_neocognitron_reads_mnist_without_gradients():
    """6,000 digits seen once, each by itself; all 10,000 test digits, where they are and 4 pixels aside both ways."""
    source = open_source("mnist")
    images, labels = {}, {}
    for split, count in (("train", 6000), ("test", 10_000)):
        indices = source.splits[split][:count]
        images[split] = torch.from_numpy(source.pictures(indices))[:, None] / 255
        labels[split] = torch.from_numpy(source.targets[indices])
    model, began = Neocognitron(), time.perf_counter()
    model.learn(images["train"], labels["train"], seed=0)
    learnt = time.perf_counter() - began
    accuracies = [
        torch.cat([model(batch).argmax(1) for batch in digits.split(200)]).eq(labels["test"]).float().mean().item()
        for digits in (images["test"], images["test"].roll((4, 4), (2, 3)))
    ]
    planes = [cells.num_used for cells in (model.stages[0][0], model.stages[1][0], model.head.cells)]
    print(f"Neocognitron: {accuracies[0]:.2%}, {accuracies[1]:.2%} shifted, planes {planes}, {learnt:.0f} seconds")
    assert accuracies[0] >= 0.95
    assert accuracies[1] >= 0.85
