import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neocog.training.optim.phases import Phase, check_phases, phase_share, read_phases
from neocog.training.optim.schedules import ScheduleConfig


def shares(texts, epoch_steps=4):
    phases = read_phases(texts)
    return [phase_share(phases, s, epoch_steps) for s in range(round(sum(p.epochs for p in phases) * epoch_steps))]


def test_each_phase_begins_where_the_one_before_ended():
    assert read_phases(("linear 1 from 0 to 1", "constant 2", "cosine .5 to 1e-2", "constant 3 at 0.5")) == (
        Phase("linear", 1, 0, 1),
        Phase("constant", 2, 1, 1),
        Phase("cosine", 0.5, 1, 0.01),
        Phase("constant", 3, 0.5, 0.5),
    )


def test_spaces_do_not_matter():
    assert read_phases(("  linear  1 from 0   to 1 ",)) == (Phase("linear", 1, 0, 1),)


def test_shapes_follow_their_formulas():
    found = shares(("linear 1 from 0 to 1", "constant 1", "cosine 1 to 0.2", "linear 1 to 0", "constant 1 at 0.5"))
    cosine = [0.2 + 0.8 * (1 + math.cos(math.pi * t / 4)) / 2 for t in range(4)]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, *cosine, 0.2, 0.15, 0.1, 0.05, 0.5, 0.5, 0.5, 0.5])
    rise = shares(("cosine 1 from 0.2 to 1",))
    assert rise == pytest.approx([0.2 + 0.8 * (1 - math.cos(math.pi * t / 4)) / 2 for t in (1, 2, 3, 4)])


def test_after_the_last_phase_its_end_stays():
    assert phase_share(read_phases(("linear 1 from 1 to 0.25",)), 400, 4) == 0.25


@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=6), st.integers(1, 7))
def test_shares_stay_between_start_and_end(lengths, epoch_steps):
    texts = tuple(f"linear {n:.3f} from {i % 2} to {(i + 1) % 2}" for i, n in enumerate(lengths))
    phases = read_phases(texts)
    assert all(0 <= phase_share(phases, step, epoch_steps) <= 1 for step in range(100))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("wiggle 3",), r"a phase must read 'linear EPOCHS \[from SHARE\] to SHARE'.*unlike 'wiggle 3'"),
        (("linear 3",), "a phase must read.*unlike 'linear 3'"),
        (("constant 3 to 1",), "a phase must read.*unlike 'constant 3 to 1'"),
        (("cosine -3 to 1",), "a phase must read.*unlike 'cosine -3 to 1'"),
        (("linear 3 to 1",), "the first phase must say where it starts, as in 'linear 1 from 0 to 1'.*'linear 3 to 1'"),
        (("constant 3",), "the first phase must say where it starts.*unlike 'constant 3'"),
        (("constant 3 at 1", "linear 0 to 0"), "must last longer than 0 epochs, unlike 'linear 0 to 0'"),
        (("constant 1e999 at 1",), "must last longer than 0 epochs"),
        (("constant 3 at 1", "linear 2 to 1.5"), "full rate must be from 0 to 1, unlike in 'linear 2 to 1.5'"),
    ],
)
def test_invalid_phase_is_named(texts, message):
    with pytest.raises(ValueError, match=message):
        read_phases(texts)
    with pytest.raises(ValidationError, match=message):
        ScheduleConfig(name="sequence", phases=texts)


def test_a_sequence_has_phases():
    with pytest.raises(ValidationError, match="at least 1 item"):
        ScheduleConfig(name="sequence", phases=())
    assert check_phases(("constant 3 at 1",)) == ("constant 3 at 1",)
