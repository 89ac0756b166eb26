import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.data import ArraySource, divide
from neocog.data.splits import take_groups
from neocog.errors import DataError


def source(counts, split="all"):
    labels = np.repeat(np.arange(len(counts)), counts)
    return ArraySource("s", {split: (np.zeros((len(labels), 4, 4), np.uint8), labels)})


def parts(divided):
    return divided.train.tolist(), divided.val.tolist(), divided.test.tolist()


def test_a_set_without_splits_is_divided_by_class():
    data = source([100, 50, 10])
    divided = divide(data, val_fraction=0.1, test_fraction=0.2, seed=0)
    together = sorted(index for part in parts(divided) for index in part)
    assert together == list(range(160))
    assert np.bincount(data.targets[divided.test]).tolist() == [20, 10, 2]
    assert np.bincount(data.targets[divided.val]).tolist() == [8, 4, 1]
    assert len(divided.notes) == 2
    assert divided.notes[0] == "32 of 160 records are kept for the test, chosen by class and seed"


def test_the_seed_decides_and_nothing_else():
    data = source([100, 100])
    again = [parts(divide(data, val_fraction=0.1, test_fraction=0.2, seed=seed)) for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]


def test_a_record_keeps_its_place_when_the_order_changes(pictures):
    from neocog.data import ImageFolder

    class Reversed(ImageFolder):
        def __init__(self, root):
            super().__init__(root)
            self.paths.reverse()
            self.targets = self.targets[::-1]

    keys = []
    for kind in (ImageFolder, Reversed):
        data = kind(pictures)
        keys.append({data.key(i) for i in divide(data, val_fraction=0.2, test_fraction=0.2, seed=0).test.tolist()})
    assert keys[0] == keys[1]


def test_own_splits_are_kept_and_validation_taken_from_training():
    x, y = np.zeros((20, 4, 4), np.uint8), np.arange(20) % 2
    data = ArraySource("s", {"train": (x, y), "test": (x[:6], y[:6])})
    divided = divide(data, val_fraction=0.2, test_fraction=0.2, seed=0)
    assert divided.test.tolist() == list(range(20, 26))
    assert len(divided.val) == 4
    assert set(divided.val.tolist()) < set(range(20))
    own = ArraySource("s", {"train": (x, y), "val": (x[:6], y[:6])})
    divided = divide(own, val_fraction=0.2, test_fraction=0.2, seed=0)
    assert (len(divided.train), len(divided.val), len(divided.test)) == (20, 6, 0)


def test_a_class_always_keeps_something_to_learn_from():
    divided = divide(source([1, 2, 30]), val_fraction=0.5, test_fraction=0.5, seed=0)
    assert "test has no record of '0'" in divided.notes
    assert {0, 1, 2} <= set(source([1, 2, 30]).targets[divided.train].tolist())


def test_too_little_to_validate_or_to_train():
    with pytest.raises(
        DataError, match=r"Validation needs at least one record.*share of 0\.1. Raise --data\.val_fraction"
    ):
        divide(source([2, 2]), val_fraction=0.1, test_fraction=0.2, seed=0)
    with pytest.raises(DataError, match="Training needs a training split. s has only test"):
        divide(source([9, 9], "test"), val_fraction=0.1, test_fraction=0.2, seed=0)


def grouped(sizes):
    data = source([sum(sizes) - sum(sizes) // 2, sum(sizes) // 2])
    data.groups = np.repeat(np.arange(len(sizes)), sizes)
    return data


@given(st.lists(st.integers(1, 12), min_size=8, max_size=40), st.integers(0, 5))
def test_a_group_is_never_torn_apart_and_the_share_is_about_what_is_asked(sizes, seed):
    data = grouped(sizes)
    divided = divide(data, val_fraction=0.3, test_fraction=0.3, seed=seed)
    assert sorted(index for part in parts(divided) for index in part) == list(range(sum(sizes)))
    names = [set(data.groups[part].tolist()) for part in (divided.train, divided.val, divided.test)]
    assert sum(map(len, names)) == len(set().union(*names)) == len(sizes)
    assert abs(len(divided.test) - 0.3 * sum(sizes)) <= max(sizes)


def test_which_groups_are_taken_follows_from_the_seed():
    tests = [divide(grouped([5] * 40), val_fraction=0.2, test_fraction=0.2, seed=seed).test for seed in (0, 0, 1)]
    assert tests[0].tolist() == tests[1].tolist() != tests[2].tolist()
    assert len(tests[0]) == len(tests[2]) == 40


def test_one_group_is_always_left():
    data = grouped([50])
    left, taken = take_groups(data, np.arange(50), data.groups, 0.8, 0, "test")
    assert (len(left), len(taken)) == (50, 0)


def test_one_group_alone_can_t_be_divided():
    with pytest.raises(DataError, match=r"s has too few or too large groups for a share of 0\.2\. Raise --d"):
        divide(grouped([50]), val_fraction=0.2, test_fraction=0.2, seed=0)
