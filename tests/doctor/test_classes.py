import numpy as np
import pytest

from neocog.doctor import check
from neocog.doctor.check import choose_records


@pytest.fixture
def labelled(memory, noisy):
    """A set with these labels by split, and images that are all different."""
    pool = [noisy(i) for i in range(400)]

    def make(classes=("a", "b"), **splits):
        labels, parts = [], {}
        for split, given in splits.items():
            parts[split] = range(len(labels), len(labels) + len(given))
            labels += given
        return memory(pool[: len(labels)], labels=labels, splits=parts, classes=classes)

    return make


def test_report_counts_samples_by_split_and_class(labelled):
    report = check(labelled(classes=("a", "b", "c"), train=[0] * 12 + [1] * 10 + [2] * 11, test=[0, 1, 2, 2]))
    assert report.splits == {"train": 33, "test": 4}
    assert report.counts == {"train": (12, 10, 11), "test": (1, 1, 2)}
    assert report.findings == ()


def test_check_finds_missing_tiny_and_empty_classes(labelled, found, keys):
    names = ("a", "b", "c", "d", "e")
    findings = found(labelled(classes=names, train=[0] * 30 + [1] * 29 + [2] * 9, val=[0, 1, 3], test=[0, 0, 1, 2]))
    assert set(findings) == {"class-without-records", "class-not-in-training", "class-missing", "class-tiny"}
    assert keys(findings["class-without-records"]) == ["e"]
    assert keys(findings["class-not-in-training"]) == ["d"]
    assert [(e.key, e.detail) for e in findings["class-missing"].examples] == [
        ("c", "not in val"),
        ("d", "not in test"),
    ]
    assert findings["class-tiny"].sentence == "1 class has fewer than 10 training samples"
    assert [(e.key, e.detail) for e in findings["class-tiny"].examples] == [("c", "9")]


def test_imbalance_starts_above_ten_times(labelled, found):
    assert found(labelled(train=[0] * 100 + [1] * 10)) == {}
    finding = found(labelled(train=[0] * 101 + [1] * 10))["imbalance"]
    assert finding.sentence == "the largest class has 10 times the training samples of the smallest"
    assert (finding.count, [(e.key, e.detail) for e in finding.examples]) == (1, [("a", "101"), ("b", "10")])


def test_check_finds_splits_with_another_class_distribution(labelled, found, keys):
    findings = found(labelled(train=[0, 1] * 30, val=[0, 1] * 25, test=[0] * 40 + [1] * 10))
    assert set(findings) == {"classes-shifted"}
    assert keys(findings["classes-shifted"]) == ["test"]
    assert found(labelled(train=[0, 1] * 30, test=[0] * 30 + [1] * 10)) == {}  # so few may differ by chance


def test_check_finds_empty_splits_single_classes_and_labels_out_of_range(labelled, found, keys):
    findings = found(labelled(classes=("only",), train=[0] * 12, test=[]))
    assert set(findings) == {"empty-split", "one-class"}
    assert keys(findings["empty-split"]) == ["test"]
    findings = found(labelled(train=[0, 1] * 12 + [2, -1]))
    assert set(findings) == {"label-out-of-range"}
    assert [(e.key, e.detail) for e in findings["label-out-of-range"].examples] == [
        ("record 24", "label 2 of 0..1"),
        ("record 25", "label -1 of 0..1"),
    ]


def test_check_finds_samples_in_two_splits_or_none_and_repeated_keys(memory, noisy, found, keys):
    images = [noisy(i) for i in range(40)]
    parts = {"train": range(30), "test": [29, 28, 30, 31, 32, 33]}
    findings = found(memory(images, splits=parts))
    assert set(findings) == {"record-in-two-splits", "record-in-no-split"}
    assert keys(findings["record-in-two-splits"]) == ["record 28", "record 29"]
    assert findings["record-in-no-split"].count == 6
    names = [f"n{i}" for i in range(39)] + ["n0"]
    findings = found(memory(images, keys=names))
    assert set(findings) == {"repeated-key"} and keys(findings["repeated-key"]) == ["n0"]


def test_multi_label_samples_are_counted_once_per_label(memory, noisy, found, keys):
    rows = np.random.default_rng(0).random((30, 3)) < 0.5
    rows[:, 0] |= ~rows.any(axis=1)
    rows[7] = False
    source = memory([noisy(i) for i in range(30)], labels=list(rows), classes=("a", "b", "c"), task="multi-label")
    source.targets = rows
    findings = found(source)
    assert keys(findings.pop("no-label")) == ["record 7"]
    assert not findings
    assert check(source).counts == {"all": tuple(rows.sum(axis=0).tolist())}


def test_limit_spreads_samples_evenly(labelled):
    assert choose_records(10, 3).tolist() == [0, 3, 6]
    assert choose_records(3, 10).tolist() == choose_records(3, None).tolist() == [0, 1, 2]
    report = check(labelled(train=[0, 1] * 50), limit=7)
    assert (report.records, report.examined, report.findings) == (100, 7, ())
