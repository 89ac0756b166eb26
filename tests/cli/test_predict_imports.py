"""Predicting needs a small part of the program: not the trainer, not the data sets, not the reports."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

BUNDLE = Path(__file__).parents[1] / "bundle" / "made_before" / "images.neocog"
MOST_MODULES = 165
TRAINER = ("training", "runs", "report", "loading", "data", "doctor", "shards", "annotations", "recipes", "planning")
PROGRAM = """
import json, sys
from neocog.cli import main
code = main(sys.argv[1:])
print(json.dumps({"code": code, "modules": [name for name in sys.modules if name.split(".")[0] == "neocog"]}))
"""


def test_predict_does_not_import_the_trainer(tmp_path):
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "a.png")
    command = [sys.executable, "-c", PROGRAM, "predict", str(BUNDLE), str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    prediction, found = map(json.loads, done.stdout.splitlines())
    assert found["code"] == 0 and prediction["file"] == str(tmp_path / "a.png")
    assert not [name for name in found["modules"] if name.split(".")[1:2] and name.split(".")[1] in TRAINER]
    assert len(found["modules"]) <= MOST_MODULES
