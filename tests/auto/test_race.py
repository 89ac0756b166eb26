"""The rounds of the race, the choice of finalists, and what becomes of a candidate that fails."""

from dataclasses import replace

import pytest

from neocog.auto.budget import Budget
from neocog.auto.facts import Facts
from neocog.auto.journal import Journal
from neocog.auto.race import Race, choose_finalists, describe, promise, shortest_race
from neocog.training.distributed import SINGLE_PROCESS
from tests.auto.trials_by_hand import table, tried

FACTS = Facts(modality="image", num_train=100, num_test=10, num_classes=2)


def test_finalists_are_the_best_of_each_family():
    trials = [tried(0, 1, 0.9), tried(1, 1, 0.89), tried(2, 0, 0.88), tried(3, 0, 0.87)]
    assert choose_finalists(table(4, 2, 3), trials, 60) == [0, 2]
    assert choose_finalists(table(4), trials, 60) == [0, 1]


def test_family_far_behind_has_no_finalist():
    trials = [tried(0, 1, 0.99, seconds=10), tried(1, 0, 0.5, seconds=10)]
    assert choose_finalists(table(2, 1), trials, 20) == [0]
    # With a hundred times the time it could catch up: 1 - 0.5 / 10 = 0.95 of 0.94.
    assert choose_finalists(table(2, 1), [tried(0, 1, 0.94), tried(1, 0, 0.5)], 1000) == [0, 1]


def test_failed_candidates_are_not_finalists():
    assert choose_finalists(table(2), [tried(0, error="no"), tried(1, 1, 0.1)], 60) == [1]
    assert choose_finalists(table(1), [tried(0, error="no")], 60) == []


def test_promise_is_the_steepest_usual_law():
    assert promise(tried(value=0.8, seconds=10), 40) == pytest.approx(0.9)
    assert promise(tried(value=0.8, seconds=10), 5) == 0.8


def test_trial_in_one_line():
    assert describe(tried(1, 1, 0.9)) == "c1: 90.0% [88.0%, 91.7%] by validation data, 11.0 s"
    assert describe(tried(1, error="It diverged.")) == "c1: left out, It diverged."


def planned(candidates, seconds):
    """The plan with so many seconds left."""
    budget = Budget(seconds=seconds + 4.0, began=0.0, now=lambda: 0.0)
    race = Race(
        run=None, base=None, opened=None, candidates=candidates, world=None, journal=None, budget=budget, facts=None
    )  # fmt: skip
    return race.plan()


def test_race_takes_a_quarter_of_the_time():
    plan = planned(table(4), 600)
    assert plan["entrants"] == 4 and plan["left"] == pytest.approx(450)
    assert 4 * plan["first"] + 2 * plan["second"] == pytest.approx(150)


def test_candidates_at_the_end_are_left_out_if_trials_would_be_too_short():
    plan = planned(table(6), 60)  # 6.75 s for the first round: two trials of three seconds
    assert plan["entrants"] == 2 and plan["first"] >= 3
    assert planned(table(6), 20)["entrants"] == 0  # no race
    slow = [replace(candidate, least_seconds=30.0) for candidate in table(3)]
    assert planned(slow, 600)["entrants"] == 2
    assert planned(table(2), -1)["entrants"] == 0


def test_short_races_try_networks_from_scratch_twice():
    def second(transfers, finalists, seconds):
        candidates = table(2, *transfers)
        race = Race(
            run=None, base=None, opened=None, candidates=candidates, world=None, journal=None, facts=None,
            budget=Budget(seconds=seconds + 4.0, began=0.0, now=lambda: 0.0),
        )  # fmt: skip
        return race.second_round(finalists, race.plan())

    places, seconds = second((1,), [1, 0], 45)
    assert places == [0] and seconds == pytest.approx(0.55 * 13.33, abs=0.01)  # all that the first round has left
    assert second((0, 1), [1, 0], 45)[0] == []  # frozen features have a learning curve
    assert second((1,), [0], 45) == ([], 0.0)  # no rival
    assert second((1,), [1, 0], 600)[0] == [1, 0]


def test_time_that_a_race_needs_is_what_its_plan_needs():
    """With a little more than that there is a race of two, with a little less there is none."""
    needed = shortest_race(table(2))
    assert planned(table(2), 1.001 * needed)["entrants"] == 2
    assert planned(table(2), 0.999 * needed)["entrants"] == 0


def test_trial_that_would_take_the_time_of_training_is_left_out(tmp_path, capsys):
    now = [0.0]
    budget = Budget(seconds=604.0, began=0.0, now=lambda: now[0])
    race = Race(
        run=None, base=None, opened=None, candidates=table(2), world=SINGLE_PROCESS, budget=budget, facts=FACTS,
        journal=Journal(tmp_path / "journal.json", SINGLE_PROCESS),
    )  # fmt: skip
    plan = race.once("race", race.plan)
    assert not race.is_late(plan["first"])
    now[0] = 0.4 * 600  # earlier trials took longer than planned
    found = race.trial("trial-2-1", 1, plan["second"])
    assert found.error and found.rung == 2
    assert "c1: left out, Earlier trials took the time of the race. Give it more --minutes." in capsys.readouterr().err
