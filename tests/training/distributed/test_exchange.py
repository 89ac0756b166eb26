import pytest
import torch

from neocog.training.distributed import World, gather_logits, my_rows, same_everywhere, sum_everywhere

SIZE = 3


@pytest.fixture(scope="module")
def found(ranks):
    return ranks(SIZE, "exchange")


def test_each_knows_its_place(found):
    assert [each["place"] for each in found] == [[rank, SIZE, rank, SIZE, "cpu", rank == 0] for rank in range(SIZE)]


def test_all_receive_the_same_from_all(found):
    for rank, each in enumerate(found):
        assert each["sums"] == pytest.approx([6, 0.3], rel=1e-15)
        assert each["sums"] == found[0]["sums"]
        assert each["stop"] == [15, 0]
        assert each["broadcast"] == {"a": ["x", 0]}
        assert each["gathered"] == ["", "ü", "üü"]
        assert each["first"] == (5 if rank == 0 else None)


def test_differences_are_named_in_all_processes(found):
    for each in found:
        data, settings = each["differs"]
        assert "All processes need the same data. Processes 0 and 2: received 'a1' and 'b2'." in data
        assert "need the same settings. Processes 0 and 1: received new is None and 1; " in settings
        assert "train.epochs is 3 and 4. Start all with the same command" in settings
        assert "seed" not in settings


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
def test_every_row_comes_once_and_in_order(found, count):
    for each in found:
        logits = each[f"logits {count}"]
        assert logits.flatten().tolist() == list(range(3 * count))
        assert not count or logits.shape == (count, 3)


def test_rows_that_are_missing_are_found_by_all(found):
    for each in found:
        assert each["miscounted"] == "samples in = samples scored; by process [2, 5, 5], and not [2, 2, 2]"


@pytest.mark.parametrize("size", [1, 2, 5])
def test_rows_are_divided_evenly(size):
    for count in range(12):
        parts = [my_rows(count, World(rank=rank, size=size)) for rank in range(size)]
        assert [row for part in parts for row in part] == list(range(count))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_single_process_exchanges_nothing():
    world = World()
    same_everywhere({"a": 1}, "settings", world)
    assert sum_everywhere([0.1], world) == [0.1]
    assert gather_logits(torch.ones(2, 3), 2, world).shape == (2, 3)
    with pytest.raises(AssertionError, match=r"by process \[2\], and not \[3\]"):
        gather_logits(torch.ones(2, 3), 3, world)
