"""A run of `--minutes` ends in time, from the start of the process to the test figure, also on a busy machine."""

import subprocess
import sys
import time

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("busy", [False, True])
def test_run_ends_within_its_minutes(digits, tmp_path, busy):
    command = [sys.executable, "-m", "neocog", "train", str(digits), "--model", "lenet5", "--minutes", "0.5"]
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        begin = time.monotonic()
        with subprocess.Popen(
            [*command, "--runs", str(tmp_path), "--name", "r"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stderr is not None
            figure = next(
                (time.monotonic() - begin for line in process.stderr if line.startswith("test accuracy")), None
            )
            process.stderr.read()
        assert process.returncode == 0 and figure is not None
        assert 0.6 * 30 <= figure <= 1.05 * 30
    finally:
        if other is not None:
            other.kill()
            other.wait()
