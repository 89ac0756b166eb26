import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from neocog.data import ArraySource, check_test, divide
from neocog.dataset.split import choose_groups, take_groups
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
    assert "test has no sample of '0'" in divided.notes
    assert {0, 1, 2} <= set(source([1, 2, 30]).targets[divided.train].tolist())


def test_too_little_to_validate_or_to_train():
    with pytest.raises(
        DataError, match=r"Validation needs at least one record.*share of 0\.1. Raise --data\.val_fraction"
    ):
        divide(source([2, 2]), val_fraction=0.1, test_fraction=0.2, seed=0)
    with pytest.raises(DataError, match="Training needs a training split. s has only test"):
        divide(source([9, 9], "test"), val_fraction=0.1, test_fraction=0.2, seed=0)


def test_what_was_chosen_once_is_chosen_for_ever():
    """A run that is resumed after an update finds the same validation and test records."""
    test = divide(source([100, 50, 9]), val_fraction=0.1, test_fraction=0.2, seed=5)
    assert test.val.tolist() == [2, 3, 6, 11, 12, 21, 40, 70, 107, 117, 141, 149, 150]
    assert test.test.tolist() == [
        1, 13, 16, 31, 33, 34, 38, 49, 54, 57, 58, 63, 72, 76, 81, 88, 90, 93, 98, 99, 100, 102, 104, 105, 109, 121,
        122, 123, 130, 148, 151, 158,
    ]  # fmt: skip


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


@pytest.mark.parametrize("seed", range(10))
def test_small_groups_of_the_test_leave_some_to_validate(seed):
    """Per class, three groups of 1 and one of 6: the three would make the share of the test, and leave one group."""
    divided = divide(grouped([1, 1, 1, 6, 1, 1, 1, 6]), val_fraction=0.3, test_fraction=0.3, seed=seed)
    assert all({index >= 9 for index in part} == {False, True} for part in parts(divided))


def test_which_groups_are_taken_follows_from_the_seed():
    tests = [divide(grouped([5] * 40), val_fraction=0.2, test_fraction=0.2, seed=seed).test for seed in (0, 0, 1)]
    assert tests[0].tolist() == tests[1].tolist() != tests[2].tolist()
    assert len(tests[0]) == len(tests[2]) == 40


def test_one_group_is_always_left():
    data = grouped([50])
    left, taken = take_groups(data, np.arange(50), data.groups, 0.8, 0, "test")
    assert (len(left), len(taken)) == (50, 0)


def test_one_group_alone_can_t_be_divided():
    with pytest.raises(
        DataError,
        match=r"s has too few or too large groups for a share of 0\.2\. Raise --data\.val_fraction, or add groups: "
        "these are not divided, and a class needs three of them",
    ):
        divide(grouped([50]), val_fraction=0.2, test_fraction=0.2, seed=0)


def labelled_groups(groups, targets):
    """A set whose records have these groups and classes."""
    data = ArraySource("s", {"all": (np.zeros((len(targets), 4, 4), np.uint8), np.asarray(targets))})
    data.groups = np.asarray(groups)
    return data


def files(sizes, num_classes):
    """Groups of one class each, in turn."""
    return np.repeat(np.arange(len(sizes)), sizes), np.repeat(np.arange(len(sizes)) % num_classes, sizes)


def speakers(num_speakers, num_classes, count, seed):
    """Groups whose records are of several classes, some of them rare."""
    draw = np.random.default_rng(seed)
    return np.sort(draw.integers(0, num_speakers, count)), np.minimum(draw.geometric(0.4, count) - 1, num_classes - 1)


SHAPES = {
    "equal files": lambda seed: files([10] * 18, 3),
    "unequal files": lambda seed: files(np.random.default_rng(seed).integers(1, 40, 40), 4),
    "three files of each class": lambda seed: files([7, 20, 3] * 3, 3),
    "speakers who say all": lambda seed: (
        np.repeat(np.arange(20), 30),
        np.random.default_rng(seed).integers(0, 10, 600),
    ),
    "speakers with rare words": lambda seed: speakers(25, 6, 500, seed),
    "a rare class": lambda seed: (np.repeat(np.arange(50), 8), (np.repeat(np.arange(50), 8) % 10 == 0).astype(int)),
    "patients": lambda seed: speakers(200, 2, 4000, seed),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(12))
def test_each_class_with_groups_to_spare_is_in_every_part(shape, seed):
    groups, targets = SHAPES[shape](seed)
    data = labelled_groups(groups, targets)
    divided = divide(data, val_fraction=0.1, test_fraction=0.2, seed=seed)
    assert sorted(index for part in parts(divided) for index in part) == list(range(len(data)))
    names = [set(groups[part].tolist()) for part in (divided.train, divided.val, divided.test)]
    assert sum(map(len, names)) == len(set().union(*names))
    several = {k for k in set(targets.tolist()) if len(set(groups[targets == k].tolist())) > 2}
    for part in (divided.train, divided.val, divided.test):
        assert several <= set(targets[part].tolist())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("fraction", "folds"), [(0.2, 5), (0.1, 10)])
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_shares_of_classes_are_as_near_as_those_of_scikit_learn(shape, fraction, folds):
    def distance(targets, taken):
        sizes, there = np.bincount(targets), np.bincount(targets[taken], minlength=targets.max() + 1)
        return np.abs(there[sizes > 0] / sizes[sizes > 0] - fraction).mean()

    ours, theirs = [], []
    for seed in range(20):
        groups, targets = SHAPES[shape](seed)
        groups = np.random.default_rng(seed).permutation(groups.max() + 1)[groups]
        ours.append(distance(targets, np.isin(groups, choose_groups(groups, targets, fraction))))
        if min(len(set(groups.tolist())), np.bincount(targets).max()) >= folds:
            splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
            theirs.append(distance(targets, next(iter(splitter.split(targets, targets, groups)))[1]))
    assert np.mean(ours) <= np.mean(theirs or [np.inf]) + 0.005


def test_a_group_with_most_of_the_records_stays_in_training():
    draw = np.random.default_rng(0)
    groups = np.r_[np.zeros(500, int), np.repeat(np.arange(1, 21), 10)]
    targets = np.r_[draw.integers(0, 3, 500), np.repeat(np.arange(20) % 3, 10)]
    divided = divide(labelled_groups(groups, targets), val_fraction=0.1, test_fraction=0.2, seed=0)
    assert 0 in groups[divided.train]
    assert np.bincount(targets[divided.test], minlength=3).min() > 0
    assert abs(len(divided.test) / 700 - 0.2) < 0.02


def test_groups_do_not_depend_on_the_order_of_records():
    groups, targets = SHAPES["unequal files"](0)

    class Named(ArraySource):
        def key(self, index):
            return f"record {self.names[index]}"

    found = []
    for order in (np.arange(len(groups)), np.random.default_rng(1).permutation(len(groups))):
        data = Named("s", {"all": (np.zeros((len(groups), 4, 4), np.uint8), targets[order])})
        data.names, data.groups = order, 100 - groups[order]
        divided = divide(data, val_fraction=0.1, test_fraction=0.2, seed=3)
        found.append([{data.key(i) for i in part} for part in parts(divided)])
    assert found[0] == found[1]


def test_a_class_of_one_group_stays_in_training_and_it_is_said():
    groups, targets = np.repeat(np.arange(11), 5), np.repeat([0] * 5 + [1] * 5 + [2], 5)
    data = labelled_groups(groups, targets)
    data.group_kind = "speakers"
    divided = divide(data, val_fraction=0.2, test_fraction=0.2, seed=0)
    assert 2 in targets[divided.train]
    assert divided.notes == (
        f"{len(divided.test)} of 55 records are kept for the test: whole speakers, chosen by class and seed",
        "test has no sample of '2': of whole speakers, each has one, which is kept for training",
        f"{len(divided.val)} training records validate: whole speakers, chosen by class and seed",
        "val has no sample of '2': of whole speakers, each has one, which is kept for training",
    )


def test_groups_that_are_the_last_of_other_classes_are_kept_and_it_is_said():
    groups, targets = [0, 0, 1, 1, 2, 3, 4, 5, 6, 7], [0, 1, 0, 2, 3, 3, 3, 4, 4, 4]
    divided = divide(labelled_groups(groups, targets), val_fraction=0.2, test_fraction=0.2, seed=0)
    assert {0, 1, 2} <= set(np.array(targets)[divided.train].tolist())
    said = "test has no sample of '0': their groups are kept for training, as the last of some class"
    assert said in divided.notes
    assert "test has no sample of '1', '2': of whole groups, each has one, which is kept for training" in divided.notes


def test_groups_of_records_without_a_class_are_taken_as_before():
    data = grouped([5] * 40)
    data.task, data.group_kind = "next move", "games"
    divided = divide(data, val_fraction=0.2, test_fraction=0.2, seed=0)
    assert divided.test.tolist() == take_groups(data, np.arange(200), data.groups, 0.2, 0, "test")[1].tolist()
    assert divided.notes[0] == "40 of 200 records are kept for the test: whole games, chosen by seed"
    assert sorted(set(data.groups[divided.test].tolist())) == [2, 4, 7, 15, 16, 17, 23, 26]


def test_a_part_of_groups_is_chosen_by_the_seed():
    groups, targets = SHAPES["equal files"](0)
    tests = {
        tuple(divide(labelled_groups(groups, targets), val_fraction=0.1, test_fraction=0.2, seed=s).test)
        for s in range(9)
    }
    assert len(tests) > 5


def test_groups_of_an_earlier_release_can_be_found_again():
    groups, targets = SHAPES["equal files"](0)
    data = labelled_groups(groups, targets)
    earlier = divide(data, val_fraction=0.1, test_fraction=0.2, seed=0, groups_by_class=False)
    assert earlier.test.tolist() == take_groups(data, np.arange(180), groups, 0.2, 0, "test")[1].tolist()
    assert earlier.test.tolist() != divide(data, val_fraction=0.1, test_fraction=0.2, seed=0).test.tolist()


def one_class_test(kind="files", splits=None):
    """Groups of which only those of class 0 can be spared, and how they are divided."""
    data = labelled_groups(np.repeat(np.arange(7), 5), np.repeat([0] * 6 + [1], 5))
    data.group_kind = kind
    if splits:
        data.splits = {name: np.array(part) for name, part in splits.items()}
    return data, divide(data, val_fraction=0.2, test_fraction=0.2, seed=0)


def test_a_test_of_one_class_that_groups_decide_is_refused():
    data, divided = one_class_test()
    message = r"at least two classes.*: \d+ test records of s, all of '0'; files are not divided\. Add files of"
    with pytest.raises(DataError, match=message):
        check_test(data, divided)


def test_a_fold_of_one_class_is_refused_with_the_way_to_another():
    data, divided = one_class_test("folds", {"train": range(5, 35), "test": range(5)})
    with pytest.raises(DataError, match=r"all of '0'; folds are not divided\. Choose another fold: --data\.test_fold"):
        check_test(data, divided)


def test_tests_of_several_classes_and_those_that_a_set_brings_are_taken():
    check_test(*one_class_test("speakers", {"train": range(5, 35), "test": range(5)}))
    check_test(*one_class_test("folds", {"train": range(31), "test": range(28, 35)}))
    data = labelled_groups(*files([5] * 9, 3))
    check_test(data, divide(data, val_fraction=0.2, test_fraction=0.2, seed=0))
    data.task = "next move"
    check_test(data, divide(data, val_fraction=0.2, test_fraction=0.2, seed=0))
