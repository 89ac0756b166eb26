"""Small sets, and searches that take seconds."""

import math
from functools import partial

import numpy as np
import pytest

from neocog.auto import search
from neocog.verbs import train
from tests.support.textures import blobs

MINUTES = 0.05


def none_available(_name):
    return None


@pytest.fixture
def without_weights(monkeypatch):
    """No weights of ImageNet are on this machine, whatever it has."""
    monkeypatch.setattr(search, "available", none_available)


def plan_shortly(race, most=2):
    """At most so many candidates race, each for a fraction of a second, and there is a second round."""
    entrants = min(most, len(race.candidates))
    each = 0.3 * max(1.0, race.budget.left()) / (entrants + 3)
    return {"entrants": entrants, "first": each, "second": 1.5 * each, "left": race.budget.left()}


def hurry(monkeypatch):
    """Nothing is reserved for the report, and trials may be shorter than what says something about a candidate."""
    for name in ("neocog.runs.budget.REPORT_SECONDS", "neocog.auto.race.SHORTEST_SECOND"):
        monkeypatch.setattr(name, 0.0)
    monkeypatch.setattr("neocog.auto.entrants.TIMING", 1.0)
    monkeypatch.setattr("neocog.auto.entrants.shortest_race", lambda _: -math.inf)
    monkeypatch.setattr("neocog.auto.race.OVERRUN", math.inf)
    monkeypatch.setattr(
        "neocog.auto.gather.LOOK_SHARE", 1.0
    )  # what it finds must not depend on how busy the machine is
    monkeypatch.setattr("neocog.auto.screen.FEWEST_SAMPLES", 0)
    monkeypatch.setattr("neocog.auto.trials.PREPARING", 100.0)
    monkeypatch.setattr("neocog.auto.race.Race.plan", plan_shortly)


@pytest.fixture
def hasty(monkeypatch, without_weights):
    hurry(monkeypatch)


@pytest.fixture(scope="session")
def spots(tmp_path_factory):
    """120 grey images of 16x16: bright or dark spots."""
    images, labels = blobs(120, 16, spread=1.5)
    path = tmp_path_factory.mktemp("data") / "spots.npz"
    np.savez(path, x=images, y=labels)
    return path


@pytest.fixture
def search_for(hasty, tmp_path):
    """Train by a search of a few seconds, in a folder of the test's own."""
    return partial(train, runs=tmp_path / "runs", minutes=MINUTES)


@pytest.fixture(scope="session")
def searched(spots, tmp_path_factory):
    """A finished run of a search. Not to be changed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(search, "available", none_available)
        hurry(patched)
        return train(spots, runs=tmp_path_factory.mktemp("runs"), name="searched", minutes=MINUTES)
