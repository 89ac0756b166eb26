"""Runs within a budget of time, with a clock that stands still except where the test moves it."""

import copy
import math
import os
import signal
import time

import psutil
import pytest

from neocog.training import Clock, Interrupt, Interrupted, OptimizerConfig
from neocog.training.clock import process_seconds
from neocog.training.replans import read_replans, write_replans
from neocog.training.state import State
from tests.training import test_loop
from tests.training.test_loop import Recorder, fresh, same

EPOCH = 8  # steps


class Time:
    """A time that steps and validations move."""

    def __init__(self, step=1.0, validation=2.0):
        self.value, self.step, self.validation = 100.0, step, validation
        self.num_steps = self.num_validations = 0

    def __call__(self):
        return self.value


class Ticking(Clock):
    """A clock whose time moves with each step."""

    def tick(self, work=1.0):
        self.now.num_steps += 1
        step = self.now.step
        self.now.value += step(self.now.num_steps) if callable(step) else step
        super().tick(work)


def run(budget, *, time=None, used=0.0, training=None, checkpointer=None, interrupt=None, clock=True, **settings):
    """A training of three epochs of eight steps, within a budget of seconds."""
    time = time or Time()

    def validate(model):
        time.num_validations += 1
        validation = time.validation
        time.value += validation(time.num_validations) if callable(validation) else validation
        return test_loop.validate(model)

    own = {key: settings.pop(key) for key in list(settings) if key in ("reserve", "test_share", "extend", "expected")}
    expected = own.pop("expected", 2.0)
    watch = (
        Ticking(budget=budget, began=time.value, used=used, validation_seconds=expected, now=time, **own)
        if clock
        else None
    )
    began = time.value
    training = training or fresh(OptimizerConfig(lr=0.05, weight_decay=1e-3))
    found = test_loop.run(
        training, checkpointer, interrupt, validator=validate, clock=watch, **settings
    )  # fmt: skip
    return found, time.value - began


@pytest.mark.parametrize("budget", [6, 12, 20, 30, 60, 100, 400])
def test_run_ends_in_time_whatever_was_planned(budget):
    training, seconds = run(budget)
    assert 0.8 * budget <= seconds <= 1.0 * budget, training.state.replans
    assert training.state.step == training.state.num_steps(24)
    assert len(training.state.history) == math.ceil(training.state.step / EPOCH)
    assert training.state.elapsed == seconds


def test_no_change_if_the_plan_ends_in_time():
    training, seconds = run(32)  # 24 steps and 3 validations take 30, 95% of 32 are 30.4
    assert (training.state.step, seconds, training.state.replans) == (24, 30.0, [])


def test_run_is_not_extended_if_that_is_not_allowed():
    training, _ = run(400, extend=False)
    assert (training.state.step, training.state.replans) == (24, [])
    assert run(20, extend=False)[0].state.step < 24


@pytest.mark.parametrize("after", [2, 20, 40, 60, 70, 74])
def test_slower_steps_are_noticed(after):
    """From some step on each takes three times as long, as when another process begins."""
    training, seconds = run(100, time=Time(step=lambda number: 1.0 if number <= after else 3.0))
    assert 0.85 * 100 <= seconds <= 1.0 * 100, (seconds, training.state.replans)


def test_faster_steps_are_noticed():
    _, seconds = run(100, time=Time(step=lambda number: 3.0 if number <= 10 else 0.5))
    assert 85 <= seconds <= 100


def test_first_step_does_not_count_in_the_mean():
    training, seconds = run(100, time=Time(step=lambda number: 40.0 if number == 1 else 0.5))
    assert 85 <= seconds <= 100
    assert training.state.step > 60


def test_time_is_reserved_for_what_follows():
    _, seconds = run(100, reserve=20.0, test_share=5.0)  # scoring the test split takes five validations of 2 s
    assert 0.95 * 60 <= seconds <= 70


@pytest.mark.parametrize("stalled", [2, 3, 20])
def test_one_interrupted_validation_does_not_end_the_run(stalled):
    """A validation of few samples is short; that of hundreds of times as many test samples is reckoned by it."""
    time = Time(step=0.05, validation=lambda number: 1.5 if number == stalled else 0.02)
    training, seconds = run(60, time=time, expected=0.02, test_share=100.0)  # 2 s for the test split
    assert 0.8 * 57 <= seconds <= 58, training.state.replans


def test_a_test_split_is_reckoned_without_checkpoints():
    clock = Clock(budget=100, began=0, test_share=10.0, now=lambda: 0.0)
    clock.validated(3.0, 0.5)
    assert clock.target == pytest.approx(0.95 * 95)


def test_used_up_budget_ends_the_run_after_a_step_and_its_validation():
    training, _ = run(5, time=Time(step=10.0))
    assert training.state.step == 2  # it had measured nothing after the first
    assert len(training.state.history) == 1


def test_used_up_budget_ends_the_run_at_once_after_a_whole_epoch():
    training, _ = run(23, time=Time(validation=14.0))
    assert (training.state.step, len(training.state.history)) == (8, 1)


@pytest.mark.parametrize("budget", [13, 21, 45, 100])
def test_changes_are_repeated_without_a_clock_with_the_same_bits(budget):
    timed, _ = run(budget)
    assert timed.state.replans
    again, _ = run(0, clock=False, replanned=write_replans(timed.state.replans))
    assert same(timed.tensors(), again.tensors())
    assert [row["lr"] for row in timed.state.history] == [row["lr"] for row in again.state.history]
    assert again.state.replans == timed.state.replans


@pytest.mark.parametrize("stop", [1, 7, 8, 13, 25, 38])
def test_resumed_run_continues_its_clock_and_its_changes(stop):
    whole, seconds = run(60)
    interrupt = Interrupt()
    recorder = Recorder(interrupt, stop_after=stop)
    time = Time()
    with pytest.raises(
        Interrupted, match=f"Stopped after step {stop} of {whole.state.num_steps(24)}|Stopped after step"
    ):
        run(60, time=time, checkpointer=recorder, interrupt=interrupt)
    tensors, state = copy.deepcopy(recorder.saved[-1])
    assert state["elapsed"] == time.value - 100
    resumed = fresh(OptimizerConfig(lr=0.05, weight_decay=1e-3))
    resumed.restore(tensors, state)
    later = Time()
    later.value = 1e6  # another process, long after
    resumed, rest = run(60, time=later, training=resumed)
    assert state["elapsed"] + rest == pytest.approx(seconds, abs=4)
    assert resumed.state.elapsed == state["elapsed"] + rest
    assert resumed.state.replans[: len(state["replans"])] == state["replans"]
    again, _ = run(0, clock=False, replanned=write_replans(resumed.state.replans))
    assert same(resumed.tensors(), again.tensors())


def test_run_that_was_killed_with_its_time_used_up_ends_at_once():
    recorder = Recorder(every=1)
    run(60, checkpointer=recorder)
    tensors, state = copy.deepcopy(recorder.saved[8])
    assert (state["step"], len(state["history"])) == (8, 1)
    resumed = fresh(OptimizerConfig(lr=0.05, weight_decay=1e-3))
    resumed.restore(tensors, state | {"elapsed": 59.0})
    resumed, _ = run(60, training=resumed)
    assert (resumed.state.step, len(resumed.state.history)) == (8, 1)


def test_an_estimate_plans_before_the_first_step():
    clock = Clock(budget=100, began=0, step_seconds=1.0, validation_seconds=2.0, now=lambda: 0.0)
    assert clock.plan(State(), 24, EPOCH) == 75  # with 10 validations: 95 s
    assert clock.seconds_per_step() == 1.0


def test_few_steps_get_no_validation_of_their_own():
    clock = Clock(budget=104, began=0, step_seconds=1.0, validation_seconds=5.0, now=lambda: 0.0)
    # 58 steps and 8 validations would take 98 s of 98.8: two steps for a validation of 5 s.
    assert clock.plan(State(), 24, EPOCH) == 56
    clock.validation_seconds = 2.0
    assert clock.plan(State(), 24, EPOCH) == 78  # and 10 validations


def test_steps_are_ticked_in_their_own_time():
    """Validations are not part of the time of a step."""
    time = Time(validation=30.0)
    training, seconds = run(300, time=time)
    assert 0.8 * 300 <= seconds <= 300, training.state.replans


def test_interrupt_signal_still_stops():
    interrupt = Interrupt()
    interrupt.asked = signal.SIGINT
    with pytest.raises(Interrupted, match="Stopped after step 1 of 24"):
        run(60, interrupt=interrupt)


def test_process_knows_when_it_was_started(tmp_path):
    known = time.time() - psutil.Process().create_time()
    assert process_seconds() == pytest.approx(known, abs=2.5)  # psutil knows the boot to the second
    assert process_seconds(tmp_path) == pytest.approx(known, abs=2.5)  # a system without /proc


def test_ticks_are_counted_after_a_name_with_brackets(tmp_path):
    stat = tmp_path / "proc" / "self" / "stat"
    stat.parent.mkdir(parents=True)
    fields = ["S", *"0" * 18, str(10 * os.sysconf("SC_CLK_TCK"))]  # the third field to the 22nd: ten seconds
    stat.write_text(f"7 (a) b) {' '.join(fields)} 0 0\n")
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert process_seconds(tmp_path) == pytest.approx(since_boot - 10, abs=1)


def test_reserve_grows_if_steps_take_longer_than_expected():
    moment = Time()
    clock = Clock(budget=100, began=100, reserve=10, step_seconds=1.0, now=moment)
    assert clock.target == pytest.approx(0.95 * 90)
    for seconds in (0, 2, 2):
        moment.value += seconds
        clock.tick()
    assert clock.target == pytest.approx(0.95 * 80)


def test_smaller_images_take_less_time_and_the_clock_knows():
    """Steps at a quarter of the pixels are not taken for what the rest of the run costs."""
    moment = Time()
    clock = Clock(budget=100, began=100, now=moment)
    for _ in range(9):
        clock.tick(0.25)
        moment.value += 0.25
    assert clock.seconds_per_step() == pytest.approx(1.0)
    assert clock.plan(State(step=9), 1000, 1000, 0.5) == 9 + int((95 - 2.25) / 0.5)


def test_second_change_at_the_same_step_replaces_the_first():
    """A step may have one change, or the run could not be repeated."""
    recorder = Recorder(every=1)
    run(60, checkpointer=recorder)
    tensors, state = copy.deepcopy(recorder.saved[4])
    resumed = fresh(OptimizerConfig(lr=0.05, weight_decay=1e-3))
    resumed.restore(tensors, state | {"elapsed": 59.0, "replans": [[state["step"], 57]]})
    resumed, _ = run(60, training=resumed)
    assert resumed.state.replans == [[state["step"], state["step"] + 1]]
    assert read_replans(write_replans(resumed.state.replans)) == resumed.state.replans


def test_a_large_test_split_is_reckoned_by_steps_if_few_samples_validate():
    clock = Clock(budget=100, began=0, test_share=500.0, test_steps=20.0, step_seconds=0.1, now=lambda: 0.0)
    clock.validated(0.1, 0.1)  # 50 s by validations, 2 s by steps
    assert clock.target == pytest.approx(0.95 * 98)


def test_no_more_steps_than_are_enough():
    clock = Clock(budget=1000, began=0, step_seconds=1.0, most_steps=40, now=lambda: 0.0)
    assert clock.plan(State(), 24, EPOCH) == 40
    assert clock.plan(State(), 40, EPOCH) is None
