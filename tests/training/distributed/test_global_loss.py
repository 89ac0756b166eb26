from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from neocog.training.distributed import World, loss_weight, scaled_loss

WEIGHTS = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("cuts", [(0, 3, 7), (0, 1, 2, 7), (0, 7)])
def test_scaled_losses_average_to_the_mean_over_the_global_batch(mixed, weights, cuts):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (7,), generator=generator)
    if mixed:
        labels = torch.rand(7, 3, generator=generator, dtype=torch.float64).softmax(1)

    def loss(rows):
        return F.cross_entropy(logits[rows], labels[rows], weights, label_smoothing=0.1)

    parts = [slice(*pair) for pair in pairwise(cuts)]
    own = [loss_weight(labels[part], weights) for part in parts]
    world = World(size=len(parts))
    scaled = [scaled_loss(loss(part), mine, sum(own), world) for part, mine in zip(parts, own, strict=True)]
    torch.testing.assert_close(sum(scaled) / len(parts), loss(slice(None)))


def test_single_process_gets_the_loss_back():
    loss = torch.ones(())
    assert scaled_loss(loss, 3.0, 3.0, World()) is loss
