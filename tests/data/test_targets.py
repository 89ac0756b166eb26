"""The rule by which labels are classes, several labels, or numbers to predict."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.dataset.split import strata
from neocog.dataset.targets import are_quantities, decide, known_rows, number_targets, output_name, plain_targets
from neocog.errors import ConfigError, DataError

NAMES = st.text("abcxyz", min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["0", "1", "1"], "classification"),
        (["1", "2", "3", "5"], "classification"),
        (["1.0", "2.0", "1.0"], "classification"),
        (["-1", "1"], "classification"),
        (["cat", "7.5"], "classification"),
        (["007", "008", "1.5"], "classification"),
        (["1_0", "2.5"], "classification"),
        (["true", "false"], "classification"),
        ([str(k) for k in range(40)], "classification"),
        ([str(k) for k in range(1, 60, 2)] * 2, "classification"),
        (["0.333", "1", "0"], "regression"),
        (["1e-3", "2"], "regression"),
        ([0.5, None, float("nan"), 2], "regression"),
        (["0.5", "", "NA", "?"], "regression"),
        ([str(k * k) for k in range(30)], "regression"),
        ([-k * 3 for k in range(21)], "regression"),
        ([str(k * k) for k in range(30)] * 11, "classification"),
    ],
)
def test_one_column_is_classes_or_a_number(cells, task):
    found = decide({"y": cells}, "a.csv")
    assert found.task == task
    assert (found.values is None) == (task == "classification")


@given(st.lists(st.integers(0, 20), min_size=1).map(lambda numbers: list(map(str, numbers))))
def test_few_small_whole_numbers_are_classes(cells):
    assert decide({"y": cells}, "").task == "classification"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0.01, 0.99))
def test_a_fraction_makes_a_column_numbers_whatever_else_is_in_it(values, fraction):
    cells = [repr(value) for value in [*values, 3 + fraction]]
    found = decide({"y": cells}, "")
    assert found.task == "regression"
    np.testing.assert_array_equal(found.targets, [float(cell) for cell in cells])


@given(st.lists(st.one_of(st.integers(-9, 999).map(str), st.floats(0, 9).map(str)), min_size=1), NAMES)
def test_a_name_makes_a_column_classes_whatever_else_is_in_it(cells, name):
    found = decide({"y": [*cells, name]}, "")
    assert (found.task, found.notices) == ("classification", ())


@given(st.permutations([str(k * k) for k in range(30)] + ["0.5", ""]))
def test_order_of_rows_does_not_decide(cells):
    assert decide({"y": cells}, "").task == "regression"


@given(st.lists(st.tuples(*[st.sampled_from(["0", "1", "", "true", "false", "0.0", "1.0"])] * 3), min_size=1))
def test_columns_of_0_and_1_are_labels(rows):
    found = decide(dict(zip("abc", zip(*rows, strict=True), strict=True)), "")
    known = {"0": 0.0, "1": 1.0, "": np.nan, "true": 1.0, "false": 0.0, "0.0": 0.0, "1.0": 1.0}
    expected = np.array([[known[cell] for cell in row] for row in rows])
    assert (found.task, found.names) == ("multi-label", ("a", "b", "c"))
    np.testing.assert_array_equal(found.targets.astype(float), expected)
    assert found.targets.dtype == (float if np.isnan(expected).any() else bool)


def test_several_columns_of_numbers_are_several_outputs():
    found = decide({"fat (%)": ["1.5", ""], "stars": ["3", "5"]}, "a.csv")
    assert (found.task, found.names) == ("regression", ("fat [%]", "stars"))
    np.testing.assert_array_equal(found.targets, [[1.5, 3], [np.nan, 5]])
    assert found.notices == (
        "2 columns hold numbers to predict (regression): fat (%), stars; to choose: --data.label_column NAME,NAME",
    )


@pytest.mark.parametrize(
    ("cells", "notice"),
    [
        (
            ["0.25", "1"],
            (
                "'y' holds numbers to predict (regression), as 0.25 is not whole; if they are classes: "
                "--task classification"
            ),
        ),
        (
            ["1", "2"],
            (
                "'y' holds classes, as there are 2 different whole numbers, at most 20; to predict numbers: "
                "--task regression"
            ),
        ),
        (["007", "1"], "'y' holds classes, as 007 has leading zeros; to predict numbers: --task regression"),
        (
            [str(k) for k in range(1, 31)],
            "'y' holds classes, as its whole numbers count from 1 to 30; to predict numbers: --task regression",
        ),
        (
            [str(k * k) for k in range(30)],
            (
                "'y' holds numbers to predict (regression), as there are 30 different whole numbers, more than a tenth "
                "as many as samples; if they are classes: --task classification"
            ),
        ),
    ],
)
def test_notice_says_what_was_decided_why_and_how_to_overrule(cells, notice):
    assert decide({"y": cells}, "a.csv").notices == (notice,)


def test_column_called_class_holds_classes_however_many():
    assert decide({"class": [str(k * k) for k in range(30)]}, "").task == "classification"


def test_task_overrules():
    assert decide({"y": ["1", "2"]}, "", "regression").targets.tolist() == [1, 2]
    assert decide({"y": ["0.5", "2"]}, "", "classification").task == "classification"
    assert decide({"y": ["0", "1"]}, "", "multi-label").targets.tolist() == [[False], [True]]
    assert decide({"a": ["0", "1"], "b": ["1", "1"]}, "", "regression").targets.tolist() == [[0, 1], [1, 1]]


@pytest.mark.parametrize(
    ("columns", "task", "error", "message"),
    [
        ({"y": ["1", "x"]}, "regression", ConfigError, "labels are numbers. a.csv: received 'x' in column 'y'. Corr"),
        ({"y": ["007"]}, "regression", ConfigError, "received '007' in column 'y'"),
        ({"y": ["", ""]}, "regression", ConfigError, "received no value in column 'y'"),
        ({"y": ["1", "2"]}, "multi-label", DataError, "it holds 0 or 1, or nothing .*received '2' in column 'y'"),
        ({"y": ["1"]}, "detection", ConfigError, "read for classification or multi-label or regression. .*=detection"),
        (
            {"a": ["1"], "b": ["0"]}, "classification", ConfigError,
            "needs one column of labels. .*received 2 columns of labels: a, b. Name the one .*--data.label_column NAME",
        ),
        (
            {"a": ["1", "0"], "b": ["0.5", "1"]}, None, DataError,
            "of one kind. a.csv: received 0 and 1 in 'a'; numbers in 'b'. Name columns .*as numbers: --task regression",
        ),
        (
            {"a": ["2.5"], "b": ["x"]}, None, DataError,
            "of one kind. a.csv: received numbers in 'a'; names or nothing in 'b'. Name columns of one kind: --data",
        ),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_for_the_task_are_named(columns, task, error, message):
    with pytest.raises(error, match=message):
        decide(columns, "a.csv", task)


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [
        (np.array([0, 1, 2]), "classification", ("0", "1", "2")),
        (np.arange(99) ** 2 % 7, "classification", ("0", "1", "2", "4")),
        (np.array([0.0, 1.0]), "classification", ("0", "1")),
        (np.array([0.5, 1.0]), "regression", ("target",)),
        (np.array([[0.5], [1.0]]), "regression", ("target",)),
        (np.array([[0.5, 2], [1.0, np.nan]]), "regression", ("target 0", "target 1")),
        (np.array([[3, 2], [1, 5]]), "regression", ("target 0", "target 1")),
        (np.array([[1, 1], [0, 1]]), "multi-label", ("label 0", "label 1")),
        (np.array([[1, np.nan], [0, 1]]), "multi-label", ("label 0", "label 1")),
        (np.array([[True, True], [False, True]]), "multi-label", ("label 0", "label 1")),
        ([0.5, None], "regression", ("target",)),
        ([(0.5, 1), (2, None)], "regression", ("target 0", "target 1")),
        ([["sky"], ["sea", "sky"], []], "multi-label", ("sea", "sky")),
        (["a", "b"], "classification", ("a", "b")),
        ([np.array([0, 1]), np.array([1, 1])], "multi-label", ("label 0", "label 1")),
    ],
)
def test_labels_of_python_objects(labels, task, classes):
    found = number_targets({"all": plain_targets(labels, "y")}, None, "data")
    assert (found.task, found.classes) == (task, classes)
    assert len(found.by_split["all"]) == len(labels)


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        (["a", "b"], "regression", "names are classes. data: received data.task=regression, for names"),
        (np.array([[0, 1], [1, 1]]), "classification", r"one label for each sample. .*rows of 2 labels. Pass y.argmax"),
        (np.array([[0.5, 1]]), "multi-label", "rows of 0 and 1. data: received other numbers"),
        ([["sky"], []], "regression", "is several labels. data: received data.task=regression"),
        (np.array([0, 1]), "segmentation", "read for classification or multi-label or regression"),
    ],
)
def test_labels_of_python_objects_that_cannot_be_for_the_task(labels, task, message):
    with pytest.raises(ConfigError, match=message):
        number_targets({"all": plain_targets(labels, "y")}, None, "data", task)


def test_integers_are_numbers_if_the_user_says_so():
    found = number_targets({"train": np.array([3, 9]), "test": np.array([4])}, ("age",), "data", "regression")
    assert (found.task, found.classes, found.by_split["test"].tolist()) == ("regression", ("age",), [4.0])


def test_floats_are_classes_if_the_user_says_so():
    found = number_targets({"all": np.array([0.5, 0.25, 0.5])}, None, "data", "classification")
    assert (found.classes, found.by_split["all"].tolist()) == (("0.25", "0.5"), [1, 0, 1])


def test_splits_of_two_kinds_are_refused():
    for labels in (
        {"train": np.zeros((2, 2), bool), "test": np.array([0, 1])},
        {"train": [("a",)], "test": ["a"]},
    ):
        with pytest.raises(DataError, match="one kind in all splits"):
            number_targets(labels, None, "data")


def test_infinite_numbers_are_refused():
    with pytest.raises(DataError, match="Numbers to predict are finite. y: received an infinite one"):
        plain_targets(np.array([0.5, np.inf]), "y")


def test_numbers_that_only_number_classes_are_told_by_their_density():
    present = np.delete(np.arange(100.0), np.arange(0, 40, 2))
    assert not are_quantities(present, 200)[0]
    assert are_quantities(np.arange(100.0) * 3, 200)[0]


def test_unit_of_an_output_is_in_brackets():
    assert [output_name(name) for name in ("mass (kg)", "mass[kg]", "mass", "(kg)")] == [
        "mass [kg]", "mass[kg]", "mass", "(kg)",
    ]  # fmt: skip


def test_rows_of_which_nothing_is_known():
    assert known_rows(np.array([1, 0])).all()
    assert known_rows(np.array([np.nan, 0.0])).tolist() == [False, True]


@given(st.lists(st.floats(-1e3, 1e3), min_size=10, max_size=200))
def test_strata_of_numbers_are_in_their_order_and_about_a_fifth_each(values):
    values = np.array(values)
    found = strata(values)
    order = np.argsort(values, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert len(np.unique(found)) <= 5
    if len(np.unique(values)) == len(values):
        assert np.bincount(found, minlength=5).max() <= len(values) / 5 + 1


def test_strata_keep_unknown_numbers_apart():
    assert strata(np.array([1.0, np.nan, 5.0, 9.0]))[1] == -1
    assert strata(np.array([[1.5, 2], [3, 4]])).tolist() == [0, 0]
    assert strata(np.array([[1, np.nan], [0, 1.0], [0, 0]])).tolist() == [0, 1, -1]


@pytest.mark.parametrize("label", [2.0**63, -1e19, 1e300])
def test_floats_that_are_too_large_for_classes_are_refused(label):
    with pytest.raises(DataError, match=r"at most 65,536 are read.* received .*e\+.*--task regression"):
        number_targets({"all": np.array([label, 1.0])}, None, "data")
    assert number_targets({"all": np.array([label, 1.0])}, None, "data", "regression").task == "regression"


def test_floats_that_differ_in_late_digits_are_different_classes():
    found = number_targets({"all": np.array([1.0000002, 2.5, 1.0000001])}, None, "data", "classification")
    assert found.classes == ("1.0000001", "1.0000002", "2.5")
    assert found.by_split["all"].tolist() == [1, 2, 0]
