"""The samples that score a trial of the search."""

import numpy as np
import pytest

from neocog.auto.trials import LEAST_SCORED
from neocog.data import open_source
from neocog.dataset.split import Splits
from neocog.runs.split import trial_splits


@pytest.fixture(scope="module")
def source():
    images = np.zeros((2000, 4, 4), np.uint8)
    return open_source((images, np.arange(2000) % 2))


@pytest.mark.parametrize(
    ("num_train", "num_val", "scored", "train", "val"),
    [
        (1000, 400, 2000, 1000, 400),  # enough
        (1000, 400, 100, 1000, 100),
        (1800, 100, 2000, 1600, LEAST_SCORED),
        (100, 10, 2000, 70, 40),  # no more than 30% of the training samples
    ],
)
def test_few_validation_samples_are_joined_by_training_samples(source, num_train, num_val, scored, train, val):
    every = np.arange(2000)
    splits = Splits(every[:num_train], every[num_train : num_train + num_val], every[-50:])
    found = trial_splits(source, splits, scored, seed=0, least=LEAST_SCORED)
    assert (len(found.train), len(found.val), len(found.test)) == (train, val, 0)
    assert not set(found.train.tolist()) & set(found.val.tolist())
    assert set(found.train.tolist()) <= set(splits.train.tolist())
    assert len(trial_splits(source, splits, scored, seed=0).train) == num_train  # only who asks for more gets them
