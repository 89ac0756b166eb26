import numpy as np
import pytest
import torch
from torch import nn

from neocog.data import ImagePreprocess
from neocog.loading import InMemoryDataset, Loader
from neocog.training.distributed import World, distribute
from tests.support.rank_tasks import TRAININGS, train


@pytest.fixture(scope="module")
def two(ranks):
    return ranks(2, "trainings", list(TRAININGS))


@pytest.fixture(scope="module")
def three(ranks):
    return ranks(3, "trainings", ["float64", "float32", "weighted", "bf16"])


def alone(name):
    settings = {
        key: value for key, value in TRAININGS[name].items() if key not in ("bf16_gradients", "sync_batch_norm")
    }
    return train(World(), **settings)


def largest_difference(found, expected):
    """Relative to the largest value of each tensor."""
    differences = [
        (found[key] - expected[key]).abs().max() / expected[key].abs().max().clamp(min=1e-6)
        for key in expected
        if expected[key].is_floating_point()
    ]
    assert set(found) == set(expected)
    return max(differences).item()


@pytest.mark.parametrize("name", ["float64", "even", "weighted", "mixed"])
def test_two_processes_do_what_one_does(two, name):
    assert largest_difference(two[0][name], alone(name)) < 1e-9


@pytest.mark.parametrize("name", ["float64", "weighted"])
def test_three_processes_do_what_one_does(three, name):
    assert largest_difference(three[0][name], alone(name)) < 1e-9


def test_in_float32_they_differ_by_rounding(two, three):
    assert largest_difference(two[0]["float32"], alone("float32")) < 1e-4
    assert largest_difference(three[0]["float32"], alone("float32")) < 1e-4


def test_all_processes_have_the_same_bits(two, three):
    for found in (two, three):
        for name in found[0]:
            if name != "apart":  # their buffers differ
                for other in found[1:]:
                    assert all(torch.equal(found[0][name][key], other[name][key]) for key in other[name]), name


def test_without_synchronised_norms_the_result_is_another(two):
    assert largest_difference(two[0]["apart"], alone("apart")) > 1e-3


def test_gradients_in_bfloat16_are_near(two, three):
    for found in (two, three):
        difference = largest_difference(found[0]["bf16"], found[0]["float32"])
        assert 1e-6 < difference < 0.05  # not the same: half the bytes have travelled


def test_the_first_loss_does_not_know_the_type_of_gradients(two):
    assert two[0]["bf16"]["losses"][0] == two[0]["float32"]["losses"][0]
    torch.testing.assert_close(two[0]["bf16"]["losses"], two[0]["float32"]["losses"], rtol=0.02, atol=0.02)


def test_a_resumed_run_has_the_same_bits(ranks):
    for whole, parts in ranks(3, "resumed"):
        assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_buffers_of_the_first_process_can_be_taken(ranks):
    (kind, own, taken), (_, other, others) = ranks(2, "without_sync")
    assert kind == "BatchNorm1d"
    assert not torch.equal(own, other)
    assert torch.equal(taken, own)
    assert torch.equal(others, own)


def test_single_process_gets_the_model_back():
    model = nn.Sequential(nn.BatchNorm1d(2))
    assert distribute(model, World(), bf16_gradients=True) is model
    assert type(model[0]) is nn.BatchNorm1d


@pytest.mark.parametrize("size", [2, 4])
def test_all_processes_together_see_the_samples_that_one_sees(size):
    inputs, labels = torch.arange(90, dtype=torch.uint8).view(90, 1, 1, 1), torch.arange(90)
    data = InMemoryDataset(inputs, labels, np.arange(90, dtype=np.uint64))
    spec = ImagePreprocess(size=(1, 1), channels=1, mean=(0.5,), std=(0.3,))

    def loader(rank, world):
        return Loader(data, spec, batch_size=7, seed=3, rank=rank, world=world)

    one, parts = loader(0, 1), [loader(rank, size) for rank in range(size)]
    for epoch in range(2):
        for step in range(one.num_steps):
            together = zip(*[part.batch(epoch, step) for part in parts], strict=True)
            assert all(map(torch.equal, map(torch.cat, together), one.batch(epoch, step)))


def test_losses_checked_later_give_the_same_weights(ranks):
    for before, later, _, now in ranks(2, "steps_checked_later"):
        assert all(torch.equal(value, now[name]) for name, value in later.items())
        assert not torch.equal(before["0.weight"], later["0.weight"])


@pytest.mark.parametrize("rank", [0, 1])
def test_loss_that_is_not_finite_in_one_process_reaches_no_weight_of_any(ranks, rank):
    for before, after in ranks(2, "steps_checked_later", rank):
        assert all(torch.equal(value, after[name]) for name, value in before.items())
