"""Findings about numbers to predict, and about several labels."""

import numpy as np
import pytest

from neocog.cli import main
from neocog.data import open_source
from neocog.data.python_objects import as_source
from neocog.dataset.record import check_trainable
from neocog.doctor import check
from neocog.errors import DataError

NAN = np.nan


def signals(num):
    return np.random.default_rng(0).normal(size=(num, 12))


def examined(labels, x=None, classes=None):
    source = as_source((signals(len(labels)) if x is None else x, np.array(labels)), classes=classes)
    return {finding.kind: finding for finding in check(source).findings}


def test_spread_is_said_and_nothing_else_of_good_numbers():
    found = examined(np.arange(40) * 0.5, classes=("fat [%]",))
    assert list(found) == ["values"]
    assert found["values"].sentence == "1 number is to be predicted"
    assert found["values"].examples[0].key == "fat [%]"
    assert found["values"].examples[0].detail == "0 to 19.5, mean 9.75, standard deviation 5.77"


def test_constant_number_is_an_error_that_training_refuses():
    labels = np.stack([np.arange(40) * 0.5, np.full(40, 3.5)], axis=1)
    found = examined(labels)
    assert found["value-constant"].severity == "error"
    assert (found["value-constant"].examples[0].key, found["value-constant"].examples[0].detail) == ("target 1", "3.5")
    with pytest.raises(DataError, match="Numbers to predict must differ, 'target 1' as well. .*3.5 for every training"):
        check_trainable(as_source((signals(40), labels)))


def test_code_of_a_missing_value_is_far_off():
    labels = np.arange(40) * 0.5
    labels[7] = -999
    found = examined(labels)["value-far-off"]
    assert (found.count, found.examples[0].key, found.examples[0].detail) == (1, "all/7", "target -999")
    assert "codes for missing values such as -999" in found.remedy


def test_shares_of_unknown_values_are_said():
    labels = np.stack([np.arange(40) * 0.5, np.where(np.arange(40) < 10, NAN, np.arange(40))], axis=1)
    found = examined(labels)["value-missing"]
    assert (found.count, found.examples[0].key, found.examples[0].detail) == (1, "target 1", "25.0% of the samples")


def test_values_beyond_those_of_training_are_noted():
    parts = {"train": (signals(30), np.arange(30) * 0.5), "test": (signals(3) + 9, np.array([1.5, 40.0, -0.5]))}
    found = {finding.kind: finding for finding in check(as_source(parts)).findings}["value-beyond-training"]
    assert (found.count, found.examples[0].detail) == (2, "target 40, training 0 to 14.5")


def test_equal_samples_with_other_numbers_are_not_skipped():
    x = signals(40)
    x[3] = x[5] = x[9]
    labels = np.arange(40) * 0.5
    labels[5] = labels[3]
    report = check(as_source((x, labels)))
    found = {finding.kind: finding for finding in report.findings}
    assert (found["numbers-differ"].count, found["numbers-differ"].severity) == (3, "warning")
    assert found["numbers-differ"].examples[0].detail == "another number than all/9"
    assert (found["duplicate-within-split"].count, report.skip, "labels-contradict" in found) == (2, {}, False)


def test_labels_that_nobody_has_and_labels_that_are_not_known():
    labels = np.zeros((40, 3))
    labels[:, 0], labels[5, 2] = np.arange(40) % 2, NAN
    found = examined(labels, classes=("sea", "sky", "sun"))
    assert [example.key for example in found["label-never-set"].examples] == ["sky", "sun"]
    assert found["label-never-set"].severity == "warning"
    assert found["value-missing"].examples[0].detail == "2.5% of the samples"
    assert found["no-label"].count == 20
    assert not {"class-without-records", "one-class"} & set(found)


def test_no_label_in_training_is_an_error_that_training_refuses():
    parts = {"train": (signals(20), np.zeros((20, 2), bool)), "test": (signals(5) + 9, np.ones((5, 2), bool))}
    source = as_source(parts)
    found = {finding.kind: finding for finding in check(source).findings}
    assert found["no-label-in-training"].severity == "error"
    with pytest.raises(DataError, match="Training needs a label that some sample has"):
        check_trainable(source)


def test_command_line_counts_known_values(tmp_path, capsys):
    rows = "".join(f"film {k},{k}.5,{k if k % 2 else ''}\n" for k in range(30))
    (tmp_path / "a.csv").write_text(f"text,fat (%),water\n{rows}")
    assert main(["check", str(tmp_path / "a.csv"), "--no-skip-list"]) == 0
    out = capsys.readouterr().out
    assert "a: 30 samples; 2 numbers to predict: fat [%], water" in out
    assert "2 columns hold numbers to predict (regression): fat (%), water; to choose: --data.label_column" in out
    assert next(line.split() for line in out.splitlines() if "known values" in line) == ["known", "values", "all"]
    assert "Note     2 numbers are to be predicted." in out or "note     2 numbers are to be predicted." in out.lower()
    assert main(["check", str(tmp_path / "a.csv"), "--no-skip-list", "--task", "multi-label"]) == 1
    assert "it holds 0 or 1, or nothing if it is not known" in capsys.readouterr().out
    page = tmp_path / "page.html"
    assert main(["check", str(tmp_path / "a.csv"), "--no-skip-list", "--html", str(page)]) == 0
    assert "<dt>numbers to predict</dt><dd>2</dd>" in page.read_text()


def test_tables_of_numbers_are_checked_as_they_are_trained(tmp_path):
    (tmp_path / "a.csv").write_text("text,score\n" + "".join(f"t{k},1.5\n" for k in range(12)))
    source = open_source(tmp_path / "a.csv")
    assert {finding.kind for finding in check(source).findings} >= {"value-constant"}
    with pytest.raises(DataError):
        check_trainable(source)
