"""Runs whose number of steps changes while they go on."""

import numpy as np
import pytest

from neocog.errors import ConfigError
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig, learning_rate
from neocog.training.replans import check_replans, planned_step, read_replans, total_steps, write_replans
from neocog.training.state import State
from tests.training.test_loop import Recorder, run, same

SCHEDULES = [
    ScheduleConfig(name="constant"),
    ScheduleConfig(name="step", step_epochs=1),
    ScheduleConfig(name="cosine", warmup_epochs=1, final=0.01),
    ScheduleConfig(name="one_cycle"),
    ScheduleConfig(name="linear"),
    ScheduleConfig(name="polynomial"),
    ScheduleConfig(name="triangular"),
    ScheduleConfig(name="restarts", restart_epochs=1, restart_factor=1),
    ScheduleConfig(name="sequence", phases=("linear 1 from 0 to 1", "cosine 3 to 0")),
]


def positions(planned, replans):
    """The position of each step by the definition: evenly from the position at S to 1 at T."""
    here, moves, step = 0.0, [], 0
    total = planned
    for at, then in [*replans, (None, None)]:
        end = total if at is None else at
        rise = (1 - here) / (total - step)
        moves += [here + rise * i for i in range(end - step)]
        here, step, total = here + rise * (end - step), end, then
    return moves


@pytest.mark.parametrize(
    "replans", [[], [[40, 60]], [[0, 300]], [[40, 60], [50, 55]], [[10, 90], [80, 400], [399, 400]]]
)
def test_position_goes_evenly_to_the_new_end(replans):
    expected = positions(100, replans)
    assert len(expected) == total_steps(100, replans)
    found = [planned_step(step, 100, replans) / 100 for step in range(len(expected))]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_steps_before_the_first_change_are_whole_numbers():
    """So their rates are bit-equal to those of a run that never changes."""
    found = [planned_step(step, 10, [[4, 8]]) for step in range(5)]
    assert found[:4] == [0, 1, 2, 3]
    assert all(isinstance(step, int) for step in found[:4])


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
@pytest.mark.parametrize("total", [23, 31, 77, 400])
def test_every_schedule_keeps_its_shape(schedule, total):
    """Between two steps of the plan the rate lies between theirs."""
    planned, replans = 40, [[20, total]]
    rates = [learning_rate(schedule, 2.0, step, planned, 10) for step in range(planned)]
    for step in range(20, total):
        at = planned_step(step, planned, replans)
        rate = learning_rate(schedule, 2.0, at, planned, 10)
        assert 0 <= rate <= 2.0
        if schedule.name == "restarts" and int(at) % 10 == 9:  # the full rate returns in between
            continue
        near = rates[int(at) : int(at) + 2]
        low, high = (min(near), max(near)) if int(at) + 1 < planned else (0, near[0])
        assert low - 1e-12 <= rate <= high + 1e-12, (step, at)


def test_texts_are_read_and_written():
    assert read_replans(("1200 2100", "1800 1900")) == [[1200, 2100], [1800, 1900]]
    assert write_replans([[1200, 2100], [1800, 1900]]) == ("1200 2100", "1800 1900")
    assert TrainConfig(replanned=()).replanned == ()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("12",), "must read 'STEP TOTAL'"),
        (("12 a",), "must read 'STEP TOTAL'"),
        (("-1 5",), "must read 'STEP TOTAL'"),
        (("5 4",), "must lie ahead"),
        (("0 0",), "must lie ahead"),
        (("5 9", "5 8"), "must rise"),
        (("5 9", "9 12"), "must lie ahead"),
    ],
)
def test_wrong_texts_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(replanned=texts)


def test_a_change_after_the_end_is_refused():
    check_replans(("23 30",), 24)
    with pytest.raises(ConfigError, match="a change after step 24 of 24"):
        check_replans(("24 30",), 24)


@pytest.mark.parametrize("settings", [{}, {"optimizer": OptimizerConfig(lr=0.05, lookahead_steps=5)}])
@pytest.mark.parametrize(
    ("replanned", "steps", "epochs"),
    [(("3 13",), 13, 2), (("16 16",), 16, 2), (("5 40",), 40, 5), (("5 30", "20 27"), 27, 4), (("0 1",), 1, 1)],
)
def test_last_epoch_may_be_partial_and_is_validated(replanned, steps, epochs, settings):
    checkpointer = Recorder()
    training = run(checkpointer=checkpointer, replanned=replanned, **settings)
    assert training.state.step == steps
    assert len(training.state.history) == len(checkpointer.best) == epochs
    assert all("val_accuracy" in row for row in training.state.history)
    assert training.state.replans == read_replans(replanned)
    if settings:  # slow weights are gathered before each validation, also of a partial epoch
        slow = [key for key in training.tensors() if key.endswith("slow")]
        named = dict(training.model.named_parameters())
        assert slow
        for key in slow:
            assert (training.tensors()[key] == named[key.split("/")[1]]).all()


def test_without_changes_nothing_differs():
    assert same(run().tensors(), run(replanned=()).tensors())


def test_earlier_checkpoints_have_no_changes():
    state = State.from_json({"step": 3, "num_correct": 2})
    assert (state.replans, state.elapsed, state.num_steps(24)) == ([], 0.0, 24)
    state.replans = [[3, 17]]
    assert (state.num_steps(24), state.num_epochs(3, 8)) == (17, 3)
