"""Windows, taps and fields against following every sample by hand."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.arithmetic import Field, Taps, Window, conv_output
from neocog.errors import GeometryError

convs = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3))


def seen(layers, unit):
    """The samples that a unit reads, by going back through (kernel, stride, padding, dilation)."""
    units = {unit}
    for kernel, stride, padding, dilation in reversed(layers):
        units = {stride * u - padding + dilation * t for u in units for t in range(kernel)}
    return units


@given(st.lists(convs, max_size=4), st.integers(0, 9))
def test_windows_taps_and_fields_see_what_is_read(layers, unit):
    window, taps, field = Window(), Taps.conv(1), Field()
    for layer in layers:
        window = window.through(*layer)
        step = Taps.conv(*layer)
        taps, field = step.after(taps), field.through(step)
    samples = seen(layers, unit)
    assert window.box(unit) == field.box(unit) == (min(samples), max(samples))
    assert set(taps.of(unit)) == samples
    assert window.size == field.size == max(samples) - min(samples) + 1
    assert (window.stride, window.offset) == (field.stride, field.offset)


def transposed_reads(o, kernel, stride, padding, dilation):
    """Inputs i that are written to output o: s * i - p + d * t = o."""
    return {i for i in range(-60, 60) for t in range(kernel) if stride * i - padding + dilation * t == o}


@given(
    convs, st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3)), convs,
    st.integers(0, 11),
)  # fmt: skip
def test_fields_behind_a_transposed_convolution_are_exact_for_every_unit(before, up, after, unit):
    middle = seen([after], unit)
    samples = {s for m in middle for i in transposed_reads(m, *up) for s in seen([before], i)}
    taps = [Taps.conv(*before), Taps.conv_transpose(*up), Taps.conv(*after)]
    field = Field().through(taps[0]).through(taps[1]).through(taps[2])
    assert field.box(unit) == ((min(samples), max(samples)) if samples else None)
    assert set(taps[2].after(taps[1]).after(taps[0]).of(unit)) == samples


@given(st.integers(1, 12), st.integers(1, 12))
def test_a_table_of_reads_becomes_its_period(size, outputs):
    rows = [range(o * size // outputs, -(-(o + 1) * size // outputs)) for o in range(outputs)]  # adaptive pooling
    taps = Taps.table(rows, size)
    assert [taps.of(o) for o in range(outputs)] == [tuple(row) for row in rows]
    if size % outputs == 0:
        assert taps.every == 1 and taps.step == (size // outputs if outputs > 1 else 0)


def test_two_dilated_layers_see_a_box_of_nine_and_touch_five():
    layer = Taps.conv(3, padding=2, dilation=2)
    assert Field().through(layer).through(layer).size == 9
    assert len(layer.after(layer).of(0)) == 5


def test_branches_join_and_a_gate_that_sees_all_joins_to_all():
    narrow, wide = Field(), Field().through(Taps.conv(5, padding=2))
    assert narrow.join(wide, 32).box(3) == (1, 5)
    gate = wide.through(Taps.all(32))
    assert gate.covers(32) and not wide.covers(32)
    assert narrow.join(gate, 32).box(3) == (-2, 33)
    assert narrow.join(gate, 32).stride == 0


def test_units_that_read_nothing_have_no_box():
    gaps = Field().through(Taps.conv_transpose(1, stride=2))
    assert [gaps.box(unit) for unit in range(4)] == [(0, 0), None, (1, 1), None]
    assert gaps.size == 1 and gaps.stride == Fraction(1, 2)
    assert gaps.join(Field((None,)), 4) == gaps


def test_the_offset_is_where_the_first_unit_that_sees_something_begins():
    late = Field().through(Taps.conv_transpose(1, stride=3, padding=1))
    assert late.box(0) is None and late.box(1) is None and late.box(2) == (1, 1)
    assert late.offset == 1
    wide = Field().through(Taps.conv(1, stride=5)).through(Taps.conv_transpose(1, stride=3, padding=1))
    assert wide.offset == wide.box(2)[0] == 5


def test_no_more_windows_than_units():
    field = Field()
    for before, after in ((113, 97), (97, 199), (199, 307)):
        rows = [[o * before // after] for o in range(after)]
        field = field.through(Taps.table(rows, before), after).through(Taps.conv(3, padding=1), after)
    assert len(field.windows) <= 307


def test_window_composition_join_and_clip():
    assert Window().through(7, 2, 3) == Window(2, -3, 3)
    assert Window(2, 0, 1) | Window(2, -1, 0) == Window(2, -1, 1)
    assert Window(2, -3, 3).centre == 0 and Window(1, 0, 1).centre == Fraction(1, 2)
    assert Window(2, -3, 3).box(0, clip=10) == (0, 3)
    assert Window(2, -3, 3).box(5, clip=10) == (7, 9)
    assert Window(Fraction(1, 2), Fraction(-1, 2), Fraction(1, 2)).box(1) == (0, 1)


def test_windows_that_have_no_answer_say_so():
    with pytest.raises(GeometryError, match=r"kernel_size must be a whole number of at least 1. Received: 0."):
        Window().through(0)
    with pytest.raises(GeometryError, match=r"stride must be a whole number of at least 1. Received: 0."):
        Taps.conv(3, stride=0)
    with pytest.raises(GeometryError, match=r"Branches that meet must have the same stride. Received: 1 and 2."):
        Window() | Window(2, 0, 0)
    with pytest.raises(GeometryError, match=r"unit 9, which sees 15 to 21 of an input of 10: padding alone"):
        Window(2, -3, 3).box(9, clip=10)


def test_a_chain_through_alexnets_first_layers():
    """Araujo et al. 2019 give 195 for the last pooling of AlexNet, VGG-16 has 212."""
    field, size = Field(), 224
    for layer in [(11, 4, 2), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 0)]:
        field, size = field.through(Taps.conv(*layer)), conv_output(size, *layer)
    assert (field.size, field.stride, size) == (195, 32, 6)
    vgg = Field()
    for convolutions in (2, 2, 3, 3, 3):
        for _ in range(convolutions):
            vgg = vgg.through(Taps.conv(3, padding=1))
        vgg = vgg.through(Taps.conv(2, stride=2))
    assert (vgg.size, vgg.stride) == (212, 32)
