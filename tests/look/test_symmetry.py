import numpy as np
import pytest
import torch

from neocog.data import open_source
from neocog.look import SYMMETRIES, look_at_images
from neocog.look.probe import Interval
from neocog.look.symmetry import Evidence, judge, num_affordable
from tests.support import textures


def verdicts(images, labels, seed=0):
    found = look_at_images(open_source((images, labels)), np.arange(len(labels)), seconds=120, seed=seed)
    return {name: found.symmetries[name].verdict for name in SYMMETRIES}


@pytest.mark.parametrize("seed", range(3))
def test_rising_and_falling_stripes_hold_only_half_turns(seed):
    expected = {"mirror": "no", "flip": "no", "half_turn": "yes", "quarter_turn": "no"}
    assert verdicts(*textures.gratings(120, seed=seed), seed) == expected


def test_loss_is_that_of_transformed_images_and_harm_that_of_copies():
    images, labels = textures.gratings(120)
    found = look_at_images(open_source((images, labels)), np.arange(120), seconds=120).symmetries
    assert found["mirror"].loss.value > 0.95 and found["half_turn"].loss.value < 0.05
    assert found["mirror"].harm.value > 0.2 and found["half_turn"].harm.value < 0.05
    assert found["mirror"].told.low > 0.9 and found["half_turn"].told.low < 0.55
    assert found["mirror"].recognised.low > 0.9 and found["mirror"].num_images == 120


@pytest.mark.parametrize("seed", range(3))
def test_round_spots_hold_all_symmetries(seed):
    assert set(verdicts(*textures.blobs(200, seed=seed), seed).values()) == {"yes"}


@pytest.mark.parametrize("seed", range(3))
def test_light_from_above_holds_only_mirror_images(seed):
    expected = {"mirror": "yes", "flip": "no", "half_turn": "no", "quarter_turn": "no"}
    assert verdicts(*textures.blobs(200, seed=seed, light=40.0), seed) == expected


@pytest.mark.parametrize("seed", range(3))
def test_arrows_to_the_right_hold_only_flips(seed):
    expected = {"mirror": "no", "flip": "yes", "half_turn": "no", "quarter_turn": "no"}
    assert verdicts(*textures.arrows(200, seed=seed), seed) == expected


def test_one_broken_class_of_many_forbids_a_symmetry():
    spots, stripes = textures.blobs(240), textures.gratings(120)
    images, labels = np.concatenate([spots[0], stripes[0]]), np.concatenate([spots[1], 2 + stripes[1]])
    assert verdicts(images, labels)["mirror"] == "no"


def test_classes_that_the_probe_cannot_tell_leave_the_comparison_with_copies():
    images, labels = textures.blobs(400)
    noise = np.random.default_rng(0).permutation(labels)
    found = look_at_images(open_source((images, noise)), np.arange(400), seconds=120).symmetries
    assert all(each.recognised.low < 0.55 for each in found.values())
    assert found["flip"].holds
    assert found["flip"].reason.endswith("of images are told from their transformed copies; chance is 50%")
    lit, _ = textures.blobs(400, light=40.0)
    assert verdicts(lit, noise)["flip"] == "no"


def near(value, half=0.01):
    return Interval(value, value - half, value + half)


GOOD = {"num_images": 500, "chance": 0.1, "told": near(0.5), "recognised": near(0.9)}


@pytest.mark.parametrize(
    ("figures", "verdict", "reason"),
    [
        ({"loss": near(0.0), "harm": near(0.0)}, "yes",
         "90% of images are recognised, 90% once transformed; copies in training cost at most 1.0 points"),
        ({"loss": near(0.3, 0.14), "harm": near(-0.02)}, "yes",
         "90% of images are recognised, 60% once transformed; copies in training cost at most 0.0 points"),
        ({"loss": near(0.3, 0.14), "harm": near(0.005), "told": near(0.7)}, "unknown",
         "500 images are too few to tell: 90% of images are recognised, 60% once transformed"),
        ({"loss": near(0.5), "harm": near(-0.1)}, "no", "90% of images are recognised, 40% once transformed"),
        ({"loss": near(0.0), "harm": near(0.05)}, "no",
         "training with transformed copies costs 5.0 points [4.0, 6.0]"),
        ({"loss": near(0.1), "harm": near(0.0), "broken": True}, "no",
         "90% of images are recognised, 80% once transformed, and hardly any of one class"),
        ({"loss": near(0.0), "harm": near(0.0), "told": near(0.95)}, "no",
         "95% of images are told from their transformed copies"),
        ({"loss": near(0.1, 0.5), "harm": near(0.0, 0.2), "told": near(0.6)}, "unknown",
         "500 images are too few to tell: 90% of images are recognised, 80% once transformed"),
        ({"loss": near(0.1, 0.5), "harm": near(0.0, 0.2)}, "yes",
         "90% of images are recognised, 80% once transformed; copies can't be told from images (50%; chance is 50%)"),
        ({"recognised": near(0.12), "loss": near(0.0), "harm": near(0.0)}, "yes",
         "50% of images are told from their transformed copies; chance is 50%"),
        ({"recognised": None, "told": near(0.7)}, "no",
         "70% of images are told from their transformed copies; chance is 50%"),
        ({"recognised": None, "told": near(0.55, 0.1)}, "unknown",
         "55% of images are told from their transformed copies; chance is 50%"),
    ],
)  # fmt: skip
def test_verdict_follows_from_figures(figures, verdict, reason):
    found = judge(Evidence(**{**GOOD, **figures}))
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.holds == (verdict == "yes")


def test_images_are_reduced_only_if_a_trial_takes_too_long(monkeypatch):
    images = torch.rand(500, 1, 16, 16)
    monkeypatch.setattr("neocog.look.symmetry.seconds_of", lambda function: 0.001)
    assert num_affordable(images, 60.0) == 500
    few = num_affordable(images, 0.2)
    assert 64 <= few < 500 and num_affordable(images, 0.1) < few
    assert num_affordable(images[:30], 0.0) == 30
