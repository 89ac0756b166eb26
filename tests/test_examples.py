"""Every example runs, on its small settings, and says what it is about."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAST_WORDS = {
    "cifar10_on_a_laptop": r"report .*report\.html",
    "lenet_in_numpy": r"gradients differ by \d\.\de-1[4-6] at most\nloss",
    "own_images": r"model\n.*model\.neocog",
    "receptive_fields": r"kernel  sees.*\n +1 +1 .*\n +3 +7 .*\n +5 +13 ",
    "signals": r"noise (is unlike|passes)",
    "tree_crowns": r"\d+ objects with a score",
    "two_processes": r"one process and torchrun: probabilities differ by (0|\d\.\de-0[5-9])",
    "what_a_network_saw": r"gradcam +similarity to its twin -?\d.*\n.*\npage .*\.html",
}
"""By example: what it prints at its end, as a pattern."""


def test_each_example_is_run_here():
    assert set(LAST_WORDS) == {path.stem for path in (ROOT / "examples").glob("*.py")} - {"network"}


@pytest.mark.parametrize("name", LAST_WORDS)
def test_example_runs(name, tmp_path):
    if name == "receptive_fields":
        pytest.importorskip("mnist1d", reason="MNIST-1D is made by the package mnist1d: pip install mnist1d")
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), "--small"]
    settings = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    found = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    assert re.search(LAST_WORDS[name], found.stdout), found.stdout
