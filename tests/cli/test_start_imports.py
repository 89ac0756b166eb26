"""What is asked for at the prompt is answered at once: nothing that computes is imported for it."""

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "scipy", "matplotlib", "PIL", "pydantic", "jinja2", "sklearn", "onnx", "openvino")
PROGRAM = """
import json, sys
import neocog
if sys.argv[1:]:
    from neocog.cli import main
    assert main(sys.argv[1:]) == 0
print(json.dumps(list(sys.modules)))
"""


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ([], ()),
        (["--help"], ()),
        (["--version"], ()),
        (["env", "--help"], ("numpy",)),
        (["serve", "--help"], ("numpy",)),
    ],
    ids=str,
)
def test_nothing_heavy_is_imported(arguments, allowed):
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert not (set(HEAVY) - set(allowed)) & modules
