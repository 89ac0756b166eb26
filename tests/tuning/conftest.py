"""A small set, and studies that take seconds."""

from functools import partial

import numpy as np
import pytest

from neocog.tuning import tune
from tests.support.textures import blobs

SETTINGS = {"model": "lenet5_relu", "epochs": 4}


@pytest.fixture(scope="session")
def spots(tmp_path_factory):
    """200 grey images of 16x16: bright or dark spots, hard to tell apart."""
    images, labels = blobs(200, 16, spread=4.0)
    path = tmp_path_factory.mktemp("data") / "spots.npz"
    np.savez(path, x=images, y=labels)
    return path


@pytest.fixture
def tune_spots(spots, tmp_path):
    """A study of small trials in a folder of the test's own."""
    pytest.importorskip("optuna")
    return partial(tune, str(spots), studies=tmp_path, **SETTINGS)


@pytest.fixture(scope="session")
def whole(spots, tmp_path_factory):
    """A finished study of eight trials. Not to be changed."""
    pytest.importorskip("optuna")
    return tune(str(spots), studies=tmp_path_factory.mktemp("studies"), name="whole", trials=8, **SETTINGS)
