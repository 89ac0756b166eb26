"""A budget that is too short: training still has a share of it, and a warning says what was received, and the fix."""

import re

import pytest

from neocog.runs.budget import LEAST_TRAINING, report_seconds, warn_of_short_budget
from neocog.training import Clock
from neocog.training.state import State

EPOCH = 100  # steps


def clock_of(budget, before, reserve=2.0, step=0.01):
    """The clock after training that began after so many seconds, with steps that took as long as expected."""
    earliest = before + LEAST_TRAINING * budget
    return Clock(
        budget=budget, began=0.0, reserve=reserve, step_seconds=step, earliest=earliest, now=lambda: before
    )  # fmt: skip


def said(capsys, *given):
    warn_of_short_budget(*given)
    return capsys.readouterr().err


def test_training_has_a_quarter_of_the_budget_however_late_it_begins():
    late, early = clock_of(12.0, before=11.0), clock_of(12.0, before=4.0)
    assert late.target == pytest.approx(14.0) and late.in_time == pytest.approx(9.5)
    assert early.target == early.in_time == pytest.approx(9.5)
    assert late.plan(State(), planned=1000, epoch_steps=EPOCH) == 300  # three seconds, not one step


def test_reserve_of_a_short_budget_is_a_share_of_it():
    assert report_seconds(6.0) == pytest.approx(1.2) and report_seconds(3600.0) == 4.0


def test_long_enough_budget_has_no_warning(capsys):
    assert said(capsys, clock_of(12.0, before=4.0), State(step=EPOCH), EPOCH) == ""
    assert said(capsys, None, State(step=1), EPOCH) == ""
    resumed = Clock(budget=1.0, began=0.0)  # it was warned when it began
    assert said(capsys, resumed, State(step=1), EPOCH) == ""


def test_less_than_an_epoch_is_a_warning_with_the_budget_that_suffices(capsys):
    text = said(capsys, clock_of(12.0, before=4.0, step=0.08), State(step=50), EPOCH)
    assert text == (
        "warning: 0.2 min are too few: training was 50 of the 100 steps of an epoch. 4.0 of 12 s were used before it, "
        "and 2.0 s are for what follows it. Set --minutes 0.3 or more.\n"
    )


def test_late_training_is_a_warning_with_the_budget_that_suffices(capsys):
    text = said(capsys, clock_of(6.0, before=5.0), State(step=150), EPOCH)
    assert text == (
        "warning: 0.1 min are too few: training was too short. 5.0 of 6 s were used before it, and 2.0 s are for what "
        "follows it. It had 1.5 s all the same, so the run may end late. Set --minutes 0.2 or more.\n"
    )


@pytest.mark.parametrize("before", [3.0, 5.0, 20.0])
def test_named_budget_suffices(before, capsys):
    text = said(capsys, clock_of(6.0, before=before, step=0.02), State(step=10), EPOCH)
    minutes = float(re.search(r"--minutes ([\d.]+)", text)[1])
    again = clock_of(60 * minutes, before=before, step=0.02)
    steps = again.plan(State(), planned=10_000, epoch_steps=EPOCH)
    assert steps >= EPOCH and said(capsys, again, State(step=steps), EPOCH) == ""
