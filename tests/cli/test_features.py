"""`neocog features`: files and scores."""

import json

import numpy as np
import pandas
import pytest

from neocog.cli import main


def test_features_are_written_and_scored(finished_run, digits, tmp_path, capsys):
    out = tmp_path / "digits.parquet"
    assert main(["features", str(finished_run.bundle), str(digits), "-o", str(out), "--knn", "5", "--probe"]) == 0
    said = capsys.readouterr()
    frame = pandas.read_parquet(out)
    assert len(frame) == 1300 and len(frame["features"][0]) == 84
    assert "1,300 rows in" in said.err
    head, *rows = (" ".join(line.split()) for line in said.out.splitlines())
    assert head == "95% interval method"
    assert rows[0].startswith("k-NN, k=5, 300 test samples accuracy") and rows[0].endswith("Wilson")
    assert any(row.startswith("linear probe, 300 test samples accuracy") for row in rows)


def test_scores_as_json_and_one_split_as_npz(finished_run, digits, tmp_path, capsys):
    assert main(["features", str(finished_run.bundle), str(digits), "--knn", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["k-NN, k=5"] and found["k-NN, k=5"]["count"] == 300
    out = tmp_path / "test.npz"
    assert main(["features", str(finished_run.bundle), str(digits), "-o", str(out), "--split", "test"]) == 0
    with np.load(out) as arrays:
        assert arrays["features"].shape == (300, 84) and set(arrays["split"]) == {"test"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Features are written or scored. Received: neither. Add -o FILE, --knn K or --probe."),
        (
            ["--probe", "--split", "test"],
            "k-NN and probe need the training and the test split. Received: --split test.",
        ),
        (["-o", "x.npz", "--json"], "A setting must have an effect. --json prints scores. Add --knn K or --probe."),
        (["-o", "x.csv"], "Features are written as Parquet or .npz. Received: x.csv."),
        (["--knn", "5000"], "k nearest neighbours must be among the training samples. Received: k=5000, and 900"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags, message, finished_run, digits, capsys):
    assert main(["features", str(finished_run.bundle), str(digits), *flags]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
