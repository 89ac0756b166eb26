"""Bundles and a stopped run that an earlier version wrote (commit af27ced) load, predict the same, and resume.

`made_before` holds what that version was given, what it wrote, and what it answered.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from neocog.bundle import load
from neocog.data import open_source
from neocog.runs import evaluate, resume

HERE = Path(__file__).parent / "made_before"
EXPECTED = json.loads((HERE / "expected.json").read_text())
DATA = {"images": HERE / "images.npz", "signals": HERE / "signals.npz", "sounds": HERE / "sounds"}
ROUNDING = 2e-5
"""Of logits, between processors."""


@pytest.mark.parametrize("name", DATA)
def test_old_bundle_predicts_as_it_did(name):
    predictor, source = load(HERE / f"{name}.neocog"), open_source(DATA[name])
    logits = predictor.logits_of(source, np.arange(len(source)))
    np.testing.assert_allclose(logits, EXPECTED[name]["logits"], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("name", ["images", "signals"])
def test_old_bundle_measures_as_it_did(name):
    assert evaluate(HERE / f"{name}.neocog", DATA[name]).top1.value == pytest.approx(EXPECTED[name]["accuracy"])


def test_old_run_that_was_killed_resumes_to_the_weights_of_the_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(HERE / "signals.npz", tmp_path)
    run = resume(shutil.copytree(HERE / "stopped", tmp_path / "stopped"))
    found, whole = (load(path).model.state_dict() for path in (run.bundle, HERE / "signals.neocog"))
    assert found.keys() == whole.keys()
    for key, values in whole.items():
        torch.testing.assert_close(found[key], values, rtol=1e-4, atol=1e-5, msg=key)
