"""Which candidates are worth trying, in which order, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from neocog.training.speed.candidates import PLAIN, Candidate
from neocog.training.speed.measurements import Measurements
from neocog.training.speed.timing import Bench, DroppedError

__all__ = ["Length", "fastest", "measure", "total"]

FEWEST = 3  # steps that a trial needs: one to warm up, two that count
TIMED = 5  # steps of which the quickest counts: others may use the machine, and can only slow it down
ENOUGH = 2.0  # seconds of counted steps after which no more are timed: long steps vary little
FAR = 1.5  # times the best: no further look
FAR_FIRST, FIRST_SECONDS = 3.0, 0.5  # the same for a first step, less what choosing programs and taking memory may last
COMPILED_GAIN = 1.3  # times as fast as eager, at the best


@dataclass(frozen=True, kw_only=True, slots=True)
class Length:
    """For how many steps a way is sought, and at what price."""

    steps: int
    budget: float
    """Share of the expected run that may go into measuring."""
    compile_seconds: float
    """What compiling usually takes."""


def measure(known: Measurements, ways: Sequence[Candidate], bench: Bench, run: Length) -> None:
    """Fill in what is missing of the measurements, as far as the budget goes.

        seconds for measuring = budget x steps x seconds of a plain step

    and for compiling the same with the step that is the fastest so far. They are overstepped by one check or one step
    at most, and by what compiling takes beyond the usual. A run so short that they hold no trial is left unmeasured.
    """
    begin = bench.now()
    if PLAIN.name not in known.seconds:
        num_affordable = int(run.budget * run.steps)
        if num_affordable < 2 * FEWEST:  # plain, and one other
            return
        bench.begin(PLAIN)
        steps = [bench.step() for _ in range(2)][1:]
        while len(steps) < min(TIMED, num_affordable // 2 - 1) and sum(steps) < ENOUGH:
            steps.append(bench.step())
        known.seconds[PLAIN.name] = min(steps)
    plain = known.seconds[PLAIN.name]
    until = begin + run.budget * run.steps * plain
    left = [way for way in ways if untried(known, way)]
    if left and bench.now() + FEWEST * plain < until:
        check(known, PLAIN, bench, until)
    for way in left:
        if bench.now() + FEWEST * plain < until and check(known, way, bench, until):
            time_steps(known, way, bench, until)
    if left and fastest(known, ways, run.steps) != PLAIN:
        time_plain_again(known, bench, until)
    best = fastest(known, ways, run.steps)
    until = begin + run.budget * run.steps * known.seconds[best.name]  # the run is as short as this way makes it
    way = replace(best, compiled=True)
    if untried(known, way) and worth_compiling(known, way, run, until - bench.now()):
        time_steps(known, way, bench, until)


def time_plain_again(known: Measurements, bench: Bench, until: float) -> None:
    """What seems faster than plain must still be so, should the machine have been busy at the beginning."""
    plain = known.seconds[PLAIN.name]
    if bench.now() + FEWEST * plain >= until:
        return
    bench.begin(PLAIN)
    steps = [bench.step()]
    while len(steps) <= TIMED and sum(steps) < ENOUGH and bench.now() + plain < until:
        steps.append(bench.step())
    known.seconds[PLAIN.name] = min(plain, *steps)


def untried(known: Measurements, way: Candidate) -> bool:
    return way.name not in known.seconds and way.name not in known.dropped


def check(known: Measurements, way: Candidate, bench: Bench, until: float) -> bool:
    """Whether a candidate computes right; a fault is noted. Without time for a check nobody knows: False."""
    if bench.now() + bench.check_seconds > until:
        return False
    try:
        bench.check(way)
    except DroppedError as error:
        known.dropped[way.name] = str(error)
        return False
    return True


def time_steps(known: Measurements, way: Candidate, bench: Bench, until: float) -> None:
    """Time a candidate, or note how it fails; where time runs out after its first step, nobody knows."""
    best = min(known.seconds.values())
    try:
        bench.begin(way)
        first = bench.step()
        steps = [first] if first >= FAR_FIRST * best + FIRST_SECONDS and not way.compiled else []
        if way.compiled:  # what took so long to make is also looked at
            steps.append(bench.step())
        while goes_on(steps, best, until - bench.now(), first):
            steps.append(bench.step())
    except DroppedError as error:
        known.dropped[way.name] = str(error)
        return
    if not steps:
        return
    known.seconds[way.name] = min(steps)
    if way.compiled:
        known.compiling[way.name] = max(first - known.seconds[way.name], known.seconds[way.name])


def goes_on(steps: Sequence[float], best: float, left: float, first: float) -> bool:
    """Whether another step is timed: not where the last was far behind, or where time runs out."""
    last = steps[-1] if steps else first
    return len(steps) < TIMED and sum(steps) < ENOUGH and last < left and (not steps or last < FAR * best)


def worth_compiling(known: Measurements, way: Candidate, run: Length, left: float) -> bool:
    """Whether compiling could save more than it costs, and the budget holds it."""
    eager = known.seconds.get(replace(way, compiled=False).name)
    if eager is None:
        return False
    saving = run.steps * eager * (1 - 1 / COMPILED_GAIN)
    return saving > run.compile_seconds and run.compile_seconds + FEWEST * eager < left


def total(known: Measurements, way: Candidate, steps: int) -> float:
    """Seconds that a run of so many steps takes this way."""
    return known.compiling.get(way.name, 0.0) + steps * known.seconds[way.name]


def fastest(known: Measurements, ways: Sequence[Candidate], steps: int, gain: float = 0.0) -> Candidate:
    """The candidate with the lowest expected total, of those that were timed and compute right.

    Plain is taken where the best saves less than the share `gain`, and where nothing is known.
    """
    timed = [way for way in ways if way.name in known.seconds and way.name not in known.dropped]
    if not timed:
        return PLAIN
    best = min(timed, key=lambda way: total(known, way, steps))
    close = PLAIN in timed and total(known, best, steps) > (1 - gain) * total(known, PLAIN, steps)
    return PLAIN if close else best
