"""The loss of every task is that of the whole batch, however its samples are divided among processes."""

import torch

from neocog.training.distributed import World
from tests.support.rank_tasks import loss_gradients


def test_two_processes_have_the_gradient_of_one(ranks):
    alone, found = loss_gradients(World()), ranks(2, "loss_gradients")
    assert alone.keys() == {"focal", "binary_cross_entropy", "asymmetric", "huber", "l1", "l2"}
    for name, gradient in alone.items():
        assert gradient.abs().max() > 1e-4
        for each in found:
            torch.testing.assert_close(each[name], gradient, rtol=1e-9, atol=1e-12, msg=name)
