import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from neocog.data import ArraySource, check_test, divide
from neocog.dataset.group_split import choose_groups, take_groups
from neocog.errors import DataError


def source(counts, split="all"):
    labels = np.repeat(np.arange(len(counts)), counts)
    return ArraySource("s", {split: (np.zeros((len(labels), 4, 4), np.uint8), labels)})


def parts(divided):
    return divided.train.tolist(), divided.val.tolist(), divided.test.tolist()


def test_divide_takes_shares_by_class_from_a_set_without_splits():
    data = source([100, 50, 10])
    divided = divide(data, val_fraction=0.1, test_fraction=0.2, seed=0)
    together = sorted(index for part in parts(divided) for index in part)
    assert together == list(range(160))
    assert np.bincount(data.targets[divided.test]).tolist() == [20, 10, 2]
    assert np.bincount(data.targets[divided.val]).tolist() == [8, 4, 1]
    assert len(divided.notes) == 2
    assert divided.notes[0] == "32 of 160 samples are held out for testing, chosen by class and seed"


def test_divide_depends_on_the_seed_alone():
    data = source([100, 100])
    again = [parts(divide(data, val_fraction=0.1, test_fraction=0.2, seed=seed)) for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]


def test_divide_keeps_each_sample_in_its_split_if_the_order_changes(pictures):
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


def test_divide_keeps_own_splits_and_takes_validation_from_training():
    x, y = np.zeros((20, 4, 4), np.uint8), np.arange(20) % 2
    data = ArraySource("s", {"train": (x, y), "test": (x[:6], y[:6])})
    divided = divide(data, val_fraction=0.2, test_fraction=0.2, seed=0)
    assert divided.test.tolist() == list(range(20, 26))
    assert len(divided.val) == 4
    assert set(divided.val.tolist()) < set(range(20))
    own = ArraySource("s", {"train": (x, y), "val": (x[:6], y[:6])})
    divided = divide(own, val_fraction=0.2, test_fraction=0.2, seed=0)
    assert (len(divided.train), len(divided.val), len(divided.test)) == (20, 6, 0)


def test_divide_keeps_a_sample_of_each_class_for_training():
    divided = divide(source([1, 2, 30]), val_fraction=0.5, test_fraction=0.5, seed=0)
    assert "test has no sample of '0'" in divided.notes
    assert {0, 1, 2} <= set(source([1, 2, 30]).targets[divided.train].tolist())


def test_divide_refuses_a_set_without_training_or_validation_samples():
    with pytest.raises(
        DataError, match=r"Validation needs at least one sample.*share of 0\.1\. Raise --data\.val_fraction"
    ):
        divide(source([2, 2]), val_fraction=0.1, test_fraction=0.2, seed=0)
    with pytest.raises(DataError, match=r"Training needs a training split\. s: received only test\."):
        divide(source([9, 9], "test"), val_fraction=0.1, test_fraction=0.2, seed=0)


def test_divide_repeats_the_splits_of_earlier_releases():
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
def test_divide_keeps_groups_whole_and_shares_about_right(sizes, seed):
    data = grouped(sizes)
    divided = divide(data, val_fraction=0.3, test_fraction=0.3, seed=seed)
    assert sorted(index for part in parts(divided) for index in part) == list(range(sum(sizes)))
    names = [set(data.groups[part].tolist()) for part in (divided.train, divided.val, divided.test)]
    assert sum(map(len, names)) == len(set().union(*names)) == len(sizes)
    assert abs(len(divided.test) - 0.3 * sum(sizes)) <= max(sizes)


@pytest.mark.parametrize("seed", range(10))
def test_divide_leaves_groups_for_validation_after_a_test_of_small_groups(seed):
    """Per class, three groups of 1 and one of 6: the three would make the share of the test, and leave one group."""
    divided = divide(grouped([1, 1, 1, 6, 1, 1, 1, 6]), val_fraction=0.3, test_fraction=0.3, seed=seed)
    assert all({index >= 9 for index in part} == {False, True} for part in parts(divided))


def test_divide_chooses_groups_by_seed():
    tests = [divide(grouped([5] * 40), val_fraction=0.2, test_fraction=0.2, seed=seed).test for seed in (0, 0, 1)]
    assert tests[0].tolist() == tests[1].tolist() != tests[2].tolist()
    assert len(tests[0]) == len(tests[2]) == 40


def test_take_groups_leaves_one_group():
    data = grouped([50])
    left, taken = take_groups(data, np.arange(50), data.groups, 0.8, 0, "test")
    assert (len(left), len(taken)) == (50, 0)


def test_divide_refuses_a_set_of_one_group():
    with pytest.raises(
        DataError,
        match=r"Groups are never torn apart\. s: received too few or too large groups for a share of 0\.2\. "
        r"Raise --data\.val_fraction, or add groups: a class needs three",
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
def test_divide_puts_each_class_with_three_groups_into_every_split(shape, seed):
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
def test_choose_groups_meets_class_shares_as_well_as_scikit_learn(shape, fraction, folds):
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


def test_divide_keeps_a_group_with_most_samples_in_training():
    draw = np.random.default_rng(0)
    groups = np.r_[np.zeros(500, int), np.repeat(np.arange(1, 21), 10)]
    targets = np.r_[draw.integers(0, 3, 500), np.repeat(np.arange(20) % 3, 10)]
    divided = divide(labelled_groups(groups, targets), val_fraction=0.1, test_fraction=0.2, seed=0)
    assert 0 in groups[divided.train]
    assert np.bincount(targets[divided.test], minlength=3).min() > 0
    assert abs(len(divided.test) / 700 - 0.2) < 0.02


def test_divide_chooses_groups_independently_of_the_order():
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


def test_divide_notes_classes_of_one_group_kept_for_training():
    groups, targets = np.repeat(np.arange(11), 5), np.repeat([0] * 5 + [1] * 5 + [2], 5)
    data = labelled_groups(groups, targets)
    data.group_kind = "speakers"
    divided = divide(data, val_fraction=0.2, test_fraction=0.2, seed=0)
    assert 2 in targets[divided.train]
    assert divided.notes == (
        f"{len(divided.test)} of 55 samples are held out for testing: whole speakers, chosen by class and seed",
        "test has no sample of '2': all samples of such a class are in one of the speakers, which is kept for training",
        f"{len(divided.val)} training samples are held out for validation: whole speakers, chosen by class and seed",
        "val has no sample of '2': all samples of such a class are in one of the speakers, which is kept for training",
    )


def test_divide_notes_groups_kept_as_the_last_of_other_classes():
    groups, targets = [0, 0, 1, 1, 2, 3, 4, 5, 6, 7], [0, 1, 0, 2, 3, 3, 3, 4, 4, 4]
    divided = divide(labelled_groups(groups, targets), val_fraction=0.2, test_fraction=0.2, seed=0)
    assert {0, 1, 2} <= set(np.array(targets)[divided.train].tolist())
    said = "test has no sample of '0': all groups with such a class are kept for training, as the last of some class"
    assert said in divided.notes
    one_group = "all samples of such a class are in one of the groups, which is kept for training"
    assert f"test has no sample of '1', '2': {one_group}" in divided.notes


def test_divide_takes_groups_by_seed_if_samples_have_no_class():
    data = grouped([5] * 40)
    data.task, data.group_kind = "next move", "games"
    divided = divide(data, val_fraction=0.2, test_fraction=0.2, seed=0)
    assert divided.test.tolist() == take_groups(data, np.arange(200), data.groups, 0.2, 0, "test")[1].tolist()
    assert divided.notes[0] == "40 of 200 samples are held out for testing: whole games, chosen by seed"
    assert sorted(set(data.groups[divided.test].tolist())) == [2, 4, 7, 15, 16, 17, 23, 26]


def test_divide_takes_other_groups_for_other_seeds():
    groups, targets = SHAPES["equal files"](0)
    tests = {
        tuple(divide(labelled_groups(groups, targets), val_fraction=0.1, test_fraction=0.2, seed=s).test)
        for s in range(9)
    }
    assert len(tests) > 5


def test_divide_repeats_the_groups_of_an_earlier_release():
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


def test_check_test_refuses_groups_of_one_class():
    data, divided = one_class_test()
    message = (
        r"at least two classes, and files are never torn apart\. s: received \d+ test samples, all of class '0'\. "
        "Add files of"
    )
    with pytest.raises(DataError, match=message):
        check_test(data, divided)


def test_check_test_refuses_a_fold_of_one_class_and_names_the_flag():
    data, divided = one_class_test("folds", {"train": range(5, 35), "test": range(5)})
    with pytest.raises(
        DataError, match=r"folds are never torn apart\. .*all of class '0'\. Choose another fold: --data\.test_fold"
    ):
        check_test(data, divided)


def test_check_test_accepts_several_classes_and_own_splits():
    check_test(*one_class_test("speakers", {"train": range(5, 35), "test": range(5)}))
    check_test(*one_class_test("folds", {"train": range(31), "test": range(28, 35)}))
    data = labelled_groups(*files([5] * 9, 3))
    check_test(data, divide(data, val_fraction=0.2, test_fraction=0.2, seed=0))
    data.task = "next move"
    check_test(data, divide(data, val_fraction=0.2, test_fraction=0.2, seed=0))
