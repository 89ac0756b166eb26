"""Proofs that take minutes: `make test-slow`."""

import os
import random
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from safetensors.torch import load_file

from neocog.recipes import recipe
from neocog.runs import train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["lenet5_relu", "lenet5"])
def test_lenet5_reaches_99_percent_on_mnist(name, tmp_path):
    """Mean of three seeds at least 99.0%, training at most 90 seconds each on two cores."""
    accuracies, seconds = [], []
    for seed in range(3):
        config = recipe(name, data="mnist")
        began = time.perf_counter()
        run = train(replace(config, train=replace(config.train, seed=seed)), name=f"{name}-{seed}", runs=tmp_path)
        seconds.append(time.perf_counter() - began)
        accuracies.append(run.evaluation.top1.value)
    spread = statistics.stdev(accuracies)
    print(f"{name}: mean {statistics.mean(accuracies):.4%}, spread {spread:.4%}, {accuracies}, seconds {seconds}")
    assert statistics.mean(accuracies) >= 0.99
    assert max(seconds) <= 90


def test_ten_kills_at_random_moments_change_no_bit(digits, tmp_path):
    """SIGKILL at any moment, data loading, validation and writing included; resumed each time to the same weights."""
    flags = ["--epochs", "8", "--train.batch_size", "20", "--train.checkpoint_steps", "7", "--runs", str(tmp_path)]
    flags += ["--train.ema_decay", "0.99", "--model.dropout", "0.1"]
    program = [sys.executable, "-m", "neocog", "train"]
    began = time.monotonic()
    subprocess.run([*program, str(digits), *flags, "--name", "whole"], check=True, capture_output=True)
    length = time.monotonic() - began
    moments, stopped = random.Random(0), tmp_path / "killed"
    kills = 0
    while kills < 10:
        started = (stopped / "config.yaml").exists()
        arguments = (
            ["--resume", "killed", "--runs", str(tmp_path)] if started else [str(digits), *flags, "--name", "killed"]
        )
        process = subprocess.Popen([*program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = stopped / "events.jsonl"
        size = log.stat().st_size if log.exists() else 0
        # From the moment at which this process has taken up the run, so that each life gets somewhere.
        while process.poll() is None and not (log.exists() and log.stat().st_size > size):
            time.sleep(0.005)
        time.sleep(moments.uniform(0.05, length / 8))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        elif kills < 10:
            (stopped / "evaluation.json").unlink(missing_ok=True)  # it ended: let it finish once more under fire
        process.wait()
        assert process.returncode in (0, -signal.SIGKILL)
    if not (stopped / "evaluation.json").exists():
        subprocess.run([*program, "--resume", "killed", "--runs", str(tmp_path)], check=True, capture_output=True)
    for name in ("last", "best"):
        whole, killed = (
            load_file(tmp_path / run / "checkpoints" / f"{name}.safetensors") for run in ("whole", "killed")
        )
        assert whole.keys() == killed.keys()
        assert all((whole[key] == killed[key]).all() for key in whole)
    assert (stopped / "model.neocog").read_bytes() == (tmp_path / "whole" / "model.neocog").read_bytes()
