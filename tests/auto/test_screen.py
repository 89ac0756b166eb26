"""Which candidates this machine can train in the time, and how they are fitted to it."""

from dataclasses import replace

import pytest

from neocog.auto.candidate import Candidate
from neocog.auto.entrants import scoring_lines
from neocog.auto.facts import Facts
from neocog.auto.images import image_candidates
from neocog.auto.screen import Pace, affordable, fitted, limited, time_candidate
from tests.auto.trials_by_hand import tried

FACTS = Facts(modality="image", num_train=100_000, num_test=1, num_classes=2, height=16, width=16)
SMALL, LARGE = Candidate("small", {}), Candidate("large", {})
PRETRAINED = Candidate("pretrained", {"model.head": "logistic"})
PACES = {"small": Pace(0.001, "fp32"), "large": Pace(0.1, "fp32"), "pretrained": Pace(1.0, "fp32")}


@pytest.mark.parametrize(
    ("seconds", "places"),
    [(10_000, [0, 1, 2]), (300, [0, 2]), (30, [0, 2]), (1, [2])],
)
def test_networks_from_scratch_need_thirty_thousand_samples(seconds, places):
    assert affordable([SMALL, LARGE, PRETRAINED], PACES, FACTS, seconds) == places


def test_small_sets_need_ten_epochs():
    few = Facts(**{**FACTS.to_json(), "num_train": 100})
    assert affordable([SMALL, LARGE], PACES, few, 100) == [0, 1]
    assert affordable([SMALL, LARGE], PACES, few, 99) == [0]


def test_fastest_is_left_where_nothing_fits():
    assert affordable([LARGE, SMALL], PACES, FACTS, 0.1) == [1]


def test_candidate_of_unknown_pace_is_kept():
    assert affordable([SMALL, Candidate("other", {})], PACES, FACTS, 0.1) == [1]


def test_precision_is_the_fastest_and_says_so():
    found = fitted(Candidate("c", {"optimizer.lr": 1.0}, {"augment.flip": "why"}), Pace(0.01, "bf16"), 60, FACTS)
    assert found.settings["speed.precision"] == "bf16" and found.settings["speed.channels_last"]
    assert found.reasons["speed.precision"] == "bf16 with channels last was fastest: 100 images/s"
    assert found.reasons["augment.flip"] == "why"
    assert fitted(SMALL, None, 60, FACTS) is SMALL


@pytest.mark.parametrize(("seconds", "batch"), [(10_000, 512), (1000, 256), (400, 128), (10, 32), (0, 32)])
def test_batch_leaves_enough_updates_and_the_rate_follows(seconds, batch):
    """At 100 images a second, 300 updates."""
    start = Candidate("c", {"train.batch_size": 512, "optimizer.lr": 0.03})
    found = fitted(start, Pace(0.01, "fp32"), seconds, FACTS).settings
    assert found["train.batch_size"] == batch
    assert batch <= max(32, 100 * seconds / 300)
    assert found["optimizer.lr"] == pytest.approx(0.03 * (batch / 512) ** 0.5, abs=1e-5)
    kept = fitted(
        Candidate("c", {**start.settings, "model.head": "logistic"}), Pace(0.01, "fp32"), seconds, FACTS
    ).settings
    assert (kept["train.batch_size"], kept["optimizer.lr"]) == (512, 0.03)


def test_every_candidate_for_images_can_be_timed():
    for candidate in image_candidates(FACTS, {}):
        found = time_candidate(candidate, FACTS)
        assert found is not None and 0 < found.seconds < 5 and found.precision in ("fp32", "bf16")


def test_larger_network_takes_longer():
    table = image_candidates(FACTS, {})
    times = [time_candidate(candidate, FACTS).seconds for candidate in (table[0], table[-1])]
    assert times[0] < times[1]


def test_what_can_not_be_built_or_has_no_size_has_no_pace():
    assert time_candidate(Candidate("c", {"model.name": "text_cnn"}), FACTS) is None
    wrong = Candidate("c", {"model.name": "speednet", "image.size": (16, 16), "model.stem_stride": 9})
    assert time_candidate(wrong, FACTS) is None


def test_head_is_fitted_to_as_many_samples_as_the_time_allows():
    probe = tried(2, 0, 0.9, seconds=10.0, samples=500)  # 50 images a second
    found = limited(PRETRAINED, probe, 60, FACTS)
    assert found.settings["data.limit"] == int(0.4 * 60 * 50)
    assert found.reasons["data.limit"] == "as many as can be prepared in 40% of the time"
    mirrored = Candidate("m", {**PRETRAINED.settings, "augment.flip": 0.5})
    assert limited(mirrored, probe, 60, FACTS).settings["data.limit"] == int(0.4 * 60 * 25)
    assert limited(PRETRAINED, probe, 0.1, FACTS).settings["data.limit"] == 100
    for kept, trial in ((PRETRAINED, None), (SMALL, probe), (PRETRAINED, tried(error="no"))):
        assert limited(kept, trial, 60, FACTS) is kept
    assert limited(PRETRAINED, probe, 60, replace(FACTS, num_train=1000)) is PRETRAINED


def test_a_network_from_scratch_gets_no_more_images_than_can_be_decoded():
    slow = replace(FACTS, decode_seconds=0.001)
    assert limited(LARGE, None, 60, slow).settings["data.limit"] == 24_000
    assert limited(LARGE, None, 600, slow) is LARGE


def test_a_large_test_split_leaves_out_slow_candidates_and_views():
    many = Facts(**{**FACTS.to_json(), "num_test": 10_000})  # 4 s, 400 s, and 4,000 s to score
    assert affordable([SMALL, LARGE, PRETRAINED], PACES, many, 700) == [0]
    assert affordable([SMALL, LARGE, PRETRAINED], PACES, many, 10_000) == [0, 1, 2]
    start = Candidate("c", {"train.tta": "shift"})  # three views
    assert fitted(start, PACES["small"], 100, many).settings["train.tta"] == "shift"
    found = fitted(start, PACES["small"], 40, many)
    assert found.settings["train.tta"] == "none"
    assert found.reasons["train.tta"] == "10,000 test images are too many for it in this time"
    assert scoring_lines([PACES["small"]], many, 40) == []
    assert scoring_lines([PACES["large"]], many, 40) == [
        "scoring 10,000 test images alone takes about 400 s: give it more --minutes"
    ]


def test_nothing_is_limited_where_no_time_is_left_and_decoding_takes_none():
    free = Facts(**{**FACTS.to_json(), "decode_seconds": 0.0})
    assert limited(SMALL, None, -0.3, free) is SMALL
    few = Facts(**{**FACTS.to_json(), "num_train": 20, "decode_seconds": 0.1})
    assert limited(SMALL, None, -0.3, few) is SMALL
