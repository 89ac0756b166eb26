"""The decision after the race, with trials made by hand."""

import json

import pytest

from neocog.auto.candidate import Candidate
from neocog.auto.decide import Choice, decide
from neocog.auto.say import choice_lines
from tests.auto.trials_by_hand import table, tried


def test_best_of_the_last_round_is_chosen():
    first = [tried(0, 1, 0.7), tried(1, 1, 0.8), tried(2, 1, 0.9)]
    found = decide(table(3), [*first, tried(1, 2, 0.85, seconds=30), tried(0, 2, 0.82, seconds=30)], 30)
    assert (found.candidate, found.name) == (1, "c1")  # the third was not in the last round


def test_equal_trials_give_the_earlier_candidate():
    trials = [tried(place, 1, 0.8) for place in (2, 1, 0)]
    assert decide(table(3), trials, 100).candidate == 0


def test_forecast_decides_rather_than_the_last_figure():
    """The first learns more slowly at the beginning, but gains more from time."""
    trials = [tried(0, 1, 0.5, seconds=10), tried(1, 1, 0.83, seconds=10),
              tried(0, 2, 0.84, seconds=40), tried(1, 2, 0.85, seconds=40)]  # fmt: skip
    assert decide(table(2), trials, 40).candidate == 1
    found = decide(table(2), trials, 400)
    assert found.candidate == 0
    assert found.expected == pytest.approx(1 - 0.16 * 10**-0.6)
    assert "expected after 400 s" in found.reason


def test_probe_competes_with_trained_networks():
    probe, trained = tried(0, 0, 0.9), tried(1, 1, 0.8)
    assert decide(table(2, 0), [probe, trained], 100).candidate == 0
    assert decide(table(2, 0), [tried(0, 0, 0.7), trained], 100).candidate == 1


def test_failed_trials_do_not_compete():
    found = decide(table(2), [tried(0, error="The loss diverged."), tried(1, 1, 0.3)], 100)
    assert found.candidate == 1
    found = decide(table(2), [tried(0, 1, 0.6), tried(1, 1, 0.5), tried(0, 2, error="no"), tried(1, 2, error="no")], 9)
    assert found.candidate == 0


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        ([], "the only one that suits the data and the time"),
        ([tried(0, error="x"), tried(1, error="y")], "no candidate could be tried in time"),
    ],
)
def test_choice_without_results_says_so(trials, reason):
    found = decide(table(2), trials, 100)
    assert (found.candidate, found.reason, found.expected, found.more_time) == (0, reason, None, None)
    assert choice_lines(found) == [f"chosen: c0: {reason}"]


def test_reason_names_figures_and_whether_the_next_is_clearly_behind():
    far = decide(table(2), [tried(0, 1, 0.9), tried(1, 1, 0.7)], 5)
    assert far.reason == "90.0% [88.0%, 91.7%] after 11 s in the race; next c1: 70.0% [67.1%, 72.8%]"
    near = decide(table(2), [tried(0, 1, 0.9), tried(1, 1, 0.89)], 5)
    assert near.reason.endswith("next c1: 89.0% [86.9%, 90.8%], no more than chance apart by now")


def test_gain_of_more_time_has_an_interval_that_holds_it():
    trials = [tried(0, 1, 0.8, seconds=10), tried(0, 2, 0.9, seconds=40)]
    value, low, high = decide(table(1), trials, 160).more_time
    assert value == pytest.approx((1 - 0.05 / 2**0.5) - 0.95)
    assert low < value < high
    narrow = [tried(0, 1, 0.8, seconds=10, scored=10**6), tried(0, 2, 0.9, seconds=40, scored=10**6)]
    assert decide(table(1), narrow, 160).more_time[2] < high


def test_gain_of_more_samples_follows_the_learning_curve():
    curve = [(100.0, 0.6), (200.0, 0.7), (400.0, 1 - 0.3 / 2**0.4)]
    probe = tried(0, 0, curve[-1][1], history=curve, scored=400)
    value, low, high = decide(table(1, 0), [probe], 60).more_images
    assert value == pytest.approx((1 - 0.3 / 4**0.4) - curve[-1][1])
    assert low < value < high
    # A network from scratch borrows the curve of the probe.
    found = decide(table(2, 0), [probe, tried(1, 1, 0.99)], 60)
    assert found.candidate == 1 and found.more_images is not None
    assert decide(table(1), [tried(0, 1, 0.9)], 60).more_images is None


@pytest.mark.parametrize(
    ("first", "second", "trained", "stops"),
    [
        (0.9, 0.9, 1.0, True),  # no better, and all is known by heart
        (0.9, 0.92, 1.0, False),
        (0.9, 0.9, 0.95, False),
        (0.9, 1.0, 0.5, True),  # nothing is wrong
    ],
)
def test_training_is_short_where_the_race_shows_nothing_to_gain(first, second, trained, stops):
    trials = [tried(0, 1, first, seconds=10), tried(0, 2, second, seconds=20, trained=trained)]
    found = decide(table(1), trials, 1000)
    assert (found.seconds is not None) == stops
    if stops:
        assert found.seconds == pytest.approx(3 * 21)
        assert "trained for about 63 s only: in the race, more time gained nothing" in choice_lines(found)
    assert decide(table(1), trials, 60).seconds is None  # there is no more time anyway


def test_few_samples_without_an_error_prove_nothing():
    for scored, stops in ((10, False), (300, False), (400, True)):
        assert (decide(table(1), [tried(0, 1, 1.0, scored=scored)], 1000).seconds is not None) == stops


def test_candidate_whose_second_trial_failed_keeps_its_first():
    trials = [tried(0, 1, 0.8), tried(1, 1, 0.7), tried(2, 1, 0.75), tried(0, 2, error="no"), tried(1, 2, 0.72)]
    assert decide(table(3), trials, 20).candidate == 0


def test_choice_is_read_back_from_json():
    found = decide(table(1), [tried(0, 1, 0.8, seconds=10), tried(0, 2, 0.9, seconds=40)], 160)
    assert Choice.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_what_is_said_of_a_choice():
    choice = Choice(
        candidate=0, name="a", reason="best", more_time=(0.012, 0.0, 0.03), more_images=(0.004, -0.01, 0.02)
    )
    assert choice_lines(choice) == [
        "chosen: a: best",
        "twice the time would change it by about +1.2 points (95%: +0.0 to +3.0)",
        "twice the training samples would change it by about +0.4 points (95%: -1.0 to +2.0)",
    ]


def family(paces):
    return [Candidate(f"c{k}", {}, family="f", image_seconds=pace) for k, pace in enumerate(paces)]


@pytest.mark.parametrize(
    ("paces", "trained", "chosen"),
    [
        ((0.0001, 0.001, 0.002), 0.84, 2),  # 200,000 images in 400 s
        ((0.0001, 0.001, 0.004), 0.84, 1),  # the largest would see 100,000
        ((0.0001, 0.004, 0.004), 0.84, 0),
        ((0.0001, 0.001, 0.002), 0.96, 0),  # it knows its training images
        ((0.0001, 0.001, 0.002), 0.90, 0),  # it knows them better than others
        ((0.0001, None, None), 0.84, 0),
    ],
)
def test_a_winner_that_errs_on_its_training_images_gives_way_to_a_larger_network(paces, trained, chosen):
    trials = [tried(0, 1, 0.7), tried(1, 1, 0.5), tried(2, 1, 0.5), tried(0, 2, 0.82, seconds=30, trained=trained)]
    found = decide(family(paces), trials, 400)
    assert found.candidate == chosen
    assert ("it is too small" in found.reason) == bool(chosen)


def test_a_larger_network_of_another_family_is_not_taken():
    two = [Candidate("a", {}, family="f", image_seconds=0.001), Candidate("b", {}, family="g", image_seconds=0.001)]
    assert decide(two, [tried(0, 1, 0.7), tried(0, 2, 0.8, trained=0.8)], 400).candidate == 0


def test_reason_for_a_larger_network():
    trials = [tried(0, 1, 0.7), tried(0, 2, 0.82, seconds=30, trained=0.84)]
    assert decide(family((0.0001, 0.002)), trials, 400).reason == (
        "c0 won the race with 82.0% [79.5%, 84.3%], but is right about only 84.0% of its training images: it is too "
        "small. About 200,000 images go through this one in 400 s"
    )


def test_frozen_features_are_expected_to_gain_from_all_samples():
    probe = tried(0, 0, 0.80, history=((250.0, 0.75), (500.0, 0.80)))
    trained = [tried(1, 1, 0.6, seconds=2), tried(1, 2, 0.7, seconds=4)]  # 0.846 in 20 s
    both = table(2, 0)
    assert decide(both, [probe, *trained], 20, [0, 1]).candidate == 1
    assert decide(both, [probe, *trained], 20, [0, 1], num_train=2000).candidate == 0
    assert decide(both, [probe, *trained], 20, [0, 1], num_train=2000).expected == pytest.approx(0.86)
    assert decide(both, [probe, *trained], 20, [0, 1], num_train=400).expected == pytest.approx(0.846, abs=0.001)


def test_features_promise_what_cross_validation_has_shown():
    """A figure on few samples does not beat one on many by luck alone."""
    probe, tuned = tried(0, 0, 0.85, scored=600), tried(0, 2, 0.89, scored=65)
    lucky = [tried(1, 1, 0.8, seconds=3, scored=65), tried(1, 2, 0.91, seconds=10, scored=65)]
    assert decide(table(2, 0), [probe, tuned, *lucky], 10, finalists=[0, 1]).candidate == 0
    assert decide(table(2, 0), [tuned, *lucky], 10, finalists=[0, 1]).candidate == 1


def test_more_time_on_samples_that_were_often_seen_promises_little():
    def expected(passes):
        found = [tried(0, 1, 0.7, seconds=3, passes=0.3 * passes), tried(0, 2, 0.8, seconds=10, passes=passes)]
        return decide(table(1), found, 130).expected

    assert expected(passes=1) > 0.9  # most samples are still to be seen
    assert expected(passes=40) < 0.83
