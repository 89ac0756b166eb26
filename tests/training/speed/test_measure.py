"""The choice with planted times: nothing is measured here."""

from dataclasses import replace

import pytest

from neocog.training.speed.candidates import PLAIN, Candidate
from neocog.training.speed.choose import explain
from neocog.training.speed.measure import DroppedError, Length, fastest, measure, total
from neocog.training.speed.measurements import Measurements

BF16, BF16_LAST, LAST = Candidate("bf16"), Candidate("bf16", True), Candidate("fp32", True)
WAYS = [PLAIN, BF16, BF16_LAST, LAST]
COMPILED = Candidate("bf16", True, True)


class Planted:
    """A bench whose clock moves by what is planted: seconds of a step, or a list of them, or an error's text."""

    check_seconds = 0.5

    def __init__(self, steps, faults=None):
        self.steps, self.faults = steps, faults or {}
        self.clock, self.tried, self.checked = 0.0, [], []

    def now(self):
        return self.clock

    def check(self, way):
        self.checked.append(way)
        self.clock += self.check_seconds
        if way in self.faults:
            raise DroppedError(self.faults[way])

    def begin(self, way):
        self.tried.append((way, 0))

    def step(self):
        way, count = self.tried[-1]
        self.tried[-1] = way, count + 1
        planted = self.steps[way]
        if isinstance(planted, str):
            raise DroppedError(planted)
        seconds = planted[min(count, len(planted) - 1)] if isinstance(planted, list) else planted
        self.clock += seconds
        return seconds

    def times(self, way):
        return sum(count for tried, count in self.tried if tried == way)


def run(steps=10_000, budget=0.03, compile_seconds=60.0):
    return Length(steps=steps, budget=budget, compile_seconds=compile_seconds)


QUICK = {PLAIN: 1.0, BF16: 0.6, BF16_LAST: 0.5, LAST: 0.9}


def measured(bench, length=None, known=None):
    known = known or Measurements()
    measure(known, WAYS, bench, length or run())
    return known


def test_all_eager_candidates_are_timed_and_the_fastest_is_chosen():
    bench = Planted(QUICK)
    known = measured(bench, run(compile_seconds=1e9))
    assert known.seconds == {way.name: seconds for way, seconds in QUICK.items()}
    assert fastest(known, WAYS, 1_000) == BF16_LAST
    assert bench.checked == WAYS


def test_a_long_plain_step_is_timed_once_more_and_no_oftener():
    slow = {way: 5 * seconds for way, seconds in QUICK.items()}
    bench = Planted(slow)
    measured(bench, run(compile_seconds=1e9))
    assert [count for way, count in bench.tried if way == PLAIN] == [2, 1]  # at first the one before does not count


def test_plain_is_timed_once_more_where_another_seems_faster():
    class Busy(Planted):
        def step(self):
            slow = self.tried[-1][0] == PLAIN and len(self.tried) == 1  # another program ran at first
            self.clock += 2.0 if slow else 0.0
            return super().step() + (2.0 if slow else 0.0)

    bench = Busy({PLAIN: 0.5, BF16: 0.8, BF16_LAST: 0.9, LAST: 1.0})
    known = measured(bench, run(compile_seconds=1e9))
    assert known.seconds[PLAIN.name] == 0.5
    assert fastest(known, WAYS, 1_000) == PLAIN


def test_the_first_step_does_not_count_and_the_quickest_does():
    bench = Planted(QUICK | {BF16_LAST: [2.0, 0.5, 0.4, 0.7, 0.5, 0.6]})
    assert measured(bench, run(compile_seconds=1e9)).seconds[BF16_LAST.name] == 0.4


def test_slow_candidate_is_timed_no_further():
    bench = Planted(QUICK | {BF16: [3.0, 2.0], BF16_LAST: 7.0})
    known = measured(bench, run(compile_seconds=1e9))
    assert (bench.times(BF16), known.seconds[BF16.name]) == (2, 2.0)
    assert (bench.times(BF16_LAST), known.seconds[BF16_LAST.name]) == (1, 7.0)


@pytest.mark.parametrize("steps", [1, 100, 199])
def test_a_tiny_run_is_not_measured_at_all(steps):
    bench = Planted(QUICK)
    known = measured(bench, run(steps=steps))
    assert known == Measurements()
    assert (bench.clock, bench.tried) == (0.0, [])
    assert fastest(known, WAYS, steps) == PLAIN
    assert explain(known, WAYS, PLAIN, steps) == (
        f"fp32, contiguous, eager: {steps} steps are too few to measure a faster way"
    )


def test_a_tiny_run_takes_what_the_cache_knows():
    known = Measurements(seconds={PLAIN.name: 1.0, BF16.name: 0.5})
    bench = Planted(QUICK)
    assert fastest(measured(bench, run(steps=50), known), WAYS, 50) == BF16
    assert bench.tried == []


@pytest.mark.parametrize("steps", [200, 250, 400, 600, 1_000, 3_000])
@pytest.mark.parametrize("slow", [1.0, 5.0, 50.0])
def test_the_budget_is_overstepped_by_one_step_at_most(steps, slow):
    times = {PLAIN: 1.0, BF16: slow, BF16_LAST: slow, LAST: slow, replace(PLAIN, compiled=True): [30.0, 0.9]}
    bench = Planted(times)
    measured(bench, run(steps=steps))
    assert bench.clock <= 0.03 * steps + slow


def test_compiling_is_tried_where_it_may_pay_and_taken_where_it_does():
    bench = Planted(QUICK | {COMPILED: [80.0, 0.4]})
    known = measured(bench)
    assert known.compiling == {COMPILED.name: 79.6}
    assert bench.checked == WAYS  # its convolutions are those of the eager way
    every = [*WAYS, COMPILED]
    assert total(known, COMPILED, 10_000) == pytest.approx(79.6 + 4_000)
    assert fastest(known, every, 10_000) == COMPILED
    assert fastest(known, every, 700) == BF16_LAST  # 350 s against 359.6
    assert explain(known, every, COMPILED, 10_000) == (
        "bf16, channels_last, compiled: 400 ms a step, 2.5 times as fast as plain fp32 (1,000 ms); compiling took 80 s"
    )
    assert explain(known, every, BF16_LAST, 700) == (
        "bf16, channels_last, eager: 500 ms a step, 2.0 times as fast as plain fp32 (1,000 ms); "
        "compiling (80 s, then 400 ms a step) was not worth it for 700 steps"
    )


@pytest.mark.parametrize(
    "length",
    [
        run(steps=500, budget=1.0),  # 500 steps x 0.5 s x (1 - 1/1.3) = 58 s, which is less than 60
        run(steps=1_800),  # the budget of 54 s does not hold it
    ],
)
def test_compiling_is_not_tried_where_it_can_not_pay(length):
    bench = Planted(QUICK)
    known = measured(bench, length)
    assert not any(way.compiled for way, _ in bench.tried)
    assert explain(known, WAYS, BF16_LAST, 1_170) == (
        "bf16, channels_last, eager: 500 ms a step, 2.0 times as fast as plain fp32 (1,000 ms); "
        "compiling was not worth it for 1,170 steps"
    )


def test_a_longer_run_compiles_what_a_shorter_one_has_measured():
    known = measured(Planted(QUICK), run(steps=1_000, budget=0.1, compile_seconds=500.0))
    bench = Planted(QUICK | {COMPILED: [80.0, 0.4]})
    measured(bench, run(), known)
    assert [way for way, _ in bench.tried] == [COMPILED]


def test_a_compiler_that_fails_is_a_dropped_candidate():
    bench = Planted(QUICK | {COMPILED: "InvalidCxxCompiler: No working C++ compiler found"})
    known = measured(bench)
    assert known.dropped == {COMPILED.name: "InvalidCxxCompiler: No working C++ compiler found"}
    assert fastest(known, [*WAYS, COMPILED], 10_000) == BF16_LAST
    assert explain(known, [*WAYS, COMPILED], BF16_LAST, 10_000).endswith("compiling failed")


def test_wrong_candidate_is_dropped_before_it_is_timed():
    bench = Planted(QUICK, {BF16_LAST: "wrong"})
    known = measured(bench, run(compile_seconds=1e9))
    assert known.dropped == {BF16_LAST.name: "wrong"}
    assert bench.times(BF16_LAST) == 0
    assert fastest(known, WAYS, 10_000) == BF16


def test_wrong_plain_is_not_chosen_if_another_is_correct():
    known = measured(
        Planted(QUICK | {BF16: 2.0, BF16_LAST: 2.0, LAST: 2.0}, {PLAIN: "wrong"}), run(compile_seconds=1e9)
    )
    assert known.dropped == {PLAIN.name: "wrong"}
    assert fastest(known, WAYS, 10_000, gain=0.05) != PLAIN


def test_gain_within_noise_does_not_count():
    known = measured(Planted({PLAIN: 1.0, BF16: 0.96, BF16_LAST: 0.97, LAST: 0.98}), run(compile_seconds=1e9))
    assert fastest(known, WAYS, 1_000, gain=0.05) == PLAIN
    assert explain(known, WAYS, PLAIN, 1_000) == (
        "fp32, contiguous, eager: 1,000 ms a step, the best of 4 candidates for 1,000 steps; "
        "compiling was not worth it for 1,000 steps"
    )


def test_known_measurements_are_not_repeated():
    known = measured(Planted(QUICK), run(compile_seconds=1e9))
    bench = Planted(QUICK)
    measured(bench, run(compile_seconds=1e9), known)
    assert (bench.clock, bench.tried, bench.checked) == (0.0, [], [])


def test_a_program_that_took_longer_to_make_than_was_left_is_still_looked_at():
    known = measured(Planted(QUICK | {COMPILED: [400.0, 0.4]}))
    assert known.seconds[COMPILED.name] == 0.4


def test_compiling_is_weighed_against_kernels_of_our_own():
    native = Candidate("bf16", True, native=True)
    ways = [PLAIN, native, BF16, BF16_LAST, LAST]
    bench = Planted(QUICK | {native: 0.39, COMPILED: [80.0, 0.38]})  # compiled, BF16_LAST takes 0.385 at best
    known = Measurements()
    measure(known, ways, bench, run())
    assert COMPILED.name not in known.seconds
    assert fastest(known, ways, 10_000) == native
    bench = Planted(QUICK | {native: 0.45, COMPILED: [80.0, 0.3]})
    known = Measurements()
    measure(known, ways, bench, run())
    assert fastest(known, [*ways, native.compiled_instead], 10_000) == native.compiled_instead == COMPILED
