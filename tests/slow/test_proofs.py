"""Proofs that take minutes: `make test-slow`."""

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
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
    """SIGKILL at any moment of a process's life, from its start on; resumed each time to the same weights.

    A life of at most five seconds spends two or three of them with imports and data, so some kills fall before the
    run exists, some into decoding, most into training, which writes a checkpoint after every step.
    """
    num_steps = 150 * 45
    flags = ["--epochs", "150", "--train.batch_size", "20", "--train.checkpoint_steps", "1", "--runs", str(tmp_path)]
    flags += ["--train.ema_decay", "0.99", "--model.dropout", "0.1"]
    program = [sys.executable, "-m", "neocog", "train"]
    subprocess.run([*program, str(digits), *flags, "--name", "whole"], check=True, capture_output=True)
    moments, stopped, steps = random.Random(0), tmp_path / "killed", []
    while len(steps) < 10:
        begun = (stopped / "config.yaml").exists()
        arguments = (
            ["--resume", "killed", "--runs", str(tmp_path)] if begun else [str(digits), *flags, "--name", "killed"]
        )
        process = subprocess.Popen([*program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.3, 5.0))
        assert process.poll() is None, "the run ended before it was killed ten times"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        if stopped.exists() and not (stopped / "config.yaml").exists():
            shutil.rmtree(stopped)  # killed between making the folder and its first file: not yet a run
        steps.append(step_of(stopped / "checkpoints" / "last.safetensors"))
    print(f"steps of {num_steps} in the checkpoints after each kill: {steps}")
    assert steps == sorted(steps)
    assert sum(0 < step < num_steps for step in steps) >= 6
    subprocess.run([*program, "--resume", "killed", "--runs", str(tmp_path)], check=True, capture_output=True)
    for name in ("last", "best"):
        whole, killed = (
            load_file(tmp_path / run / "checkpoints" / f"{name}.safetensors") for run in ("whole", "killed")
        )
        assert whole.keys() == killed.keys()
        assert all((whole[key] == killed[key]).all() for key in whole)
    assert (stopped / "model.neocog").read_bytes() == (tmp_path / "whole" / "model.neocog").read_bytes()


def step_of(checkpoint: Path) -> int:
    """How many updates a checkpoint holds; 0 where there is none."""
    if not checkpoint.exists():
        return 0
    with safe_open(checkpoint, "pt") as file:
        return json.loads(file.metadata()["neocog"])["state"]["step"]
