"""Several processes, started as a user starts them, train as one would."""

import csv
import json
import os
import subprocess
import sys

import pytest
import yaml

from neocog.cli import main


def neocog(folder, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "neocog", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def two(digits, tmp_path_factory):
    """A run by one process, and one by two, on 1,000 digits."""
    folder = tmp_path_factory.mktemp("devices")
    settings = ["--epochs", "2", "--train.batch_size", "50", "--train.device", "cpu", "--speed.mode", "exact"]
    assert main(["train", str(digits), *settings, "--name", "one", "--runs", str(folder / "runs")]) == 0
    done = neocog(folder, "train", digits, *settings, "--name", "two", "--devices", "2")
    assert done.returncode == 0, done.stderr
    assert "on 2 x cpu" in done.stderr
    assert done.stdout.count("accuracy ") >= 1
    return folder / "runs"


def rows(run):
    return list(csv.DictReader((run / "results.csv").read_text().splitlines()))


def test_two_processes_reach_the_results_of_one(two):
    for one, both in zip(rows(two / "one"), rows(two / "two"), strict=True):
        for name in ("train_loss", "val_loss"):
            assert float(both[name]) == pytest.approx(float(one[name]), rel=1e-3)
        assert both["lr"] == one["lr"]
    figures = [json.loads((two / name / "evaluation.json").read_text()) for name in ("one", "two")]
    assert figures[0]["data"] == figures[1]["data"]


def test_only_the_first_process_writes(two):
    events = [json.loads(line)["event"] for line in (two / "two" / "events.jsonl").read_text().splitlines()]
    assert events.count("start") == events.count("finished") == 1
    assert events.count("epoch") == 2
    assert yaml.safe_load((two / "two" / "config.yaml").read_text())["train"]["device"] == "cpu"


def test_error_of_several_processes_is_printed_once(digits, tmp_path):
    done = neocog(tmp_path, "train", digits, "--devices", "2", "--optimizer.lr", "0")
    assert done.returncode == 2
    assert done.stderr.count("optimizer.lr must be greater than 0") == 1
