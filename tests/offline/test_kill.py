"""A run that is killed at any moment, given again, or given several times at once, writes the same file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def forked(scored, every):
    command = [sys.executable, "-m", "tests.offline.forked", str(scored.folder), str(every)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def outcome(scored):
    return forked(scored, 19)


def test_killed_run_ends_with_the_same_file_when_given_again(outcome):
    assert outcome["killed"]["kills"] >= 7
    assert outcome["killed"]["wrong"] == []


def test_three_processes_share_the_work(outcome):
    assert outcome["three"]["codes"] == [0, 0, 0]
    assert sum(outcome["three"]["computed"]) == 44  # no file twice
    assert outcome["three"]["same"] and outcome["three"]["left"] == []


def test_work_of_a_killed_process_is_taken_over(outcome):
    found = outcome["three, one killed"]
    assert found["codes"] == [-9, 0, 0] and found["same"] and found["left"] == []


@pytest.mark.slow
def test_run_killed_at_every_change_of_the_disk_ends_with_the_same_file(scored):
    found = forked(scored, 1)["killed"]
    assert found["kills"] > 80 and found["wrong"] == []
