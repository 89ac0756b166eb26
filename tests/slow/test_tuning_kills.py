"""A study that is killed twenty times has the trials of one that is not."""

import numpy as np
import pytest

import neocog
from tests.support.textures import blobs
from tests.tuning.kills import kill_often, same

pytest.importorskip("optuna")


@pytest.mark.slow
def test_study_killed_twenty_times_has_the_same_trials(tmp_path):
    images, labels = blobs(200, 16, spread=4.0)
    data = tmp_path / "spots.npz"
    np.savez(data, x=images, y=labels)
    whole = neocog.tune(str(data), studies=tmp_path, name="whole", trials=16, model="lenet5_relu", epochs=4)
    flags = ("--model", "lenet5_relu", "--epochs", 4, "--trials", 16)
    study, killed = kill_often(tmp_path / "killed", data, 20, 12, *flags)
    assert killed == 20
    assert [same(trial) for trial in study.trials] == [same(trial) for trial in whole.trials]
    assert study.test == whole.test
