import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from scipy import interpolate, stats

from neocog.data import open_source
from neocog.errors import DataError
from neocog.modalities.signal.choose import SignalConfig, choose_signal
from neocog.modalities.signal.preprocess import SignalPreprocess, stretch
from neocog.modalities.signal.source import SignalSource

NAN = np.nan


def plain(**settings):
    return SignalPreprocess(**{"channels": 1, "length": 4, "scale": "none"} | settings)


@pytest.mark.parametrize(
    ("fit", "short", "long"),
    [
        ("crop", [1, 3, 0, 0], [2, 3, 4, 5]),
        ("pad", [1, 3, 0, 0], [0, 7 / 3, 14 / 3, 7]),
        ("resample", [1, 5 / 3, 7 / 3, 3], [0, 7 / 3, 14 / 3, 7]),
    ],
)
def test_every_length_is_brought_to_one(fit, short, long):
    pre = plain(fit=fit)
    assert pre(np.array([[1.0, 3.0]]))[0].tolist() == pytest.approx(short)
    assert pre(np.arange(8.0)[None])[0].tolist() == pytest.approx(long)
    assert pre(np.arange(4))[0].tolist() == [0, 1, 2, 3]


@given(
    arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(2, 20)), elements=st.floats(-1e3, 1e3)),
    st.integers(2, 40),
)
def test_stretching_draws_straight_lines(signal, length):
    places = np.linspace(0, signal.shape[1] - 1, length)
    expected = interpolate.make_interp_spline(np.arange(signal.shape[1]), signal, k=1, axis=1)(places)
    assert stretch(signal, length) == pytest.approx(expected, abs=1e-9)


def test_missing_values():
    signal = np.array([[NAN, 2, NAN, NAN, 8, NAN]], np.float32)
    assert plain(length=6)(signal).tolist() == [[2, 2, 4, 6, 8, 8]]
    assert plain(length=6, missing="zero")(signal).tolist() == [[0, 2, 0, 0, 8, 0]]
    with pytest.raises(DataError, match="set: train/3: received 4 missing values, the first in channel 0, sample 0"):
        plain(length=6, missing="refuse")(signal, "set: train/3")
    with pytest.raises(DataError, match="here: received no value at all in channel 1"):
        plain(channels=2)(np.array([[1, 2], [NAN, NAN]]), "here")
    assert not plain(channels=2, missing="zero")(np.array([[1, 2], [NAN, NAN]]))[1].any()


@given(arrays(np.float32, (2, 9), elements=st.floats(-100, 100, width=32)))
def test_series_are_z_normalised_each_for_itself(signal):
    found = SignalPreprocess(channels=2, length=12, scale="series")(signal).numpy()
    for channel, expected in zip(found, signal.astype(np.float64), strict=True):
        if expected.std() > 1e-5 * np.abs(expected).max():
            assert channel[:9] == pytest.approx(stats.zscore(expected), abs=1e-4)
        assert not channel[9:].any()  # the filling is the mean


def test_small_change_on_a_large_value_is_not_rounding():
    pre = SignalPreprocess(channels=1, length=4, scale="series")
    assert pre(np.array([[1000.1, 999.9, 1000.1, 999.9]]))[0].tolist() == pytest.approx([1, -1, 1, -1])


def test_choose_text_ignores_the_order_of_texts():
    generator = np.random.default_rng(0)
    inputs = torch.from_numpy(generator.normal(size=(300, 2, 7)) * 10 ** generator.uniform(-3, 6, (300, 1, 1))).float()
    pre = SignalPreprocess(channels=2, length=7)
    assert pre.measured(inputs) == pre.measured(inputs.flip(0)) == pre.measured(inputs[torch.randperm(300)])


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_series_scale_zeroes_a_constant_signal_but_not_a_faint_one(scale):
    pre = SignalPreprocess(channels=1, length=4, scale="series")
    assert not pre(np.full((1, 4), 0.1 * scale, np.float32)).any()
    assert pre(np.array([[1, -1, 1, -1]]) * scale)[0].tolist() == pytest.approx([1, -1, 1, -1])


def test_channels_are_scaled_by_the_training_data():
    generator = np.random.default_rng(0)
    signals = [generator.normal((3, -50, 0), (2, 10, 1), (length, 3)).T for length in (5, 9, 7)]
    pre = SignalPreprocess(channels=3, length=9)
    inputs = torch.stack([pre.decode(signal) for signal in signals])
    measured = pre.measured(inputs)
    values = np.concatenate(signals, axis=1)  # without what fills the shorter ones
    assert measured.mean == pytest.approx(values.mean(axis=1), rel=1e-6)
    assert measured.std == pytest.approx(values.std(axis=1), rel=1e-6)
    assert measured == pre.measured(inputs.flip(0))
    normal = measured.normalise(inputs)
    assert normal[1].numpy() == pytest.approx((signals[1] - values.mean(1)[:, None]) / values.std(1)[:, None], abs=1e-4)
    assert not normal[0, :, 5:].any()  # the filling is the mean
    assert measured.fill.tolist() == [[pytest.approx(m)] for m in values.mean(axis=1)]
    for scale in ("none", "series"):
        other = SignalPreprocess(channels=3, length=9, scale=scale)
        assert other.measured(inputs) == other


def test_constant_channel_is_left_at_its_scale():
    inputs = torch.stack([torch.tensor([[5.0] * 4, [1.0, 2, 3, 4]])] * 2)
    measured = SignalPreprocess(channels=2, length=4).measured(inputs)
    assert measured.std == (1.0, pytest.approx(np.std([1, 2, 3, 4])))
    for value in (0.0, 0.1, 1e5 / 3):
        inputs = torch.full((3, 2, 7), value)
        inputs[1, :, 4] = torch.nextafter(inputs[1, :, 4], torch.tensor(1e9)) if value else 0.0  # a step of rounding
        assert SignalPreprocess(channels=2, length=7).measured(inputs).std == (1.0, 1.0)


def test_batch_of_any_size_is_normalised_alike():
    pre = SignalPreprocess(channels=2, length=50, mean=(0.3, -1.7), std=(0.7, 3.1))
    inputs = torch.randn(20, 2, 50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pre.normalise(inputs)[7], pre.normalise(inputs[7:8])[0])


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"bytes", r"A signal must be an array \(channels, length\).*here: received bytes"),
        (np.zeros((1, 2, 3)), r"here: received float64 \(1, 2, 3\)"),
        (np.zeros((1, 3), complex), "received complex128"),
        (np.zeros((2, 3)), r"must have 1 channels and at least one value per channel. here: received \(2, 3\)"),
        (np.zeros((1, 0)), r"received \(1, 0\)"),
        (np.array([[0, np.inf]]), "must be finite. here: received inf in channel 0, sample 1"),
        (np.array([[0, 1e300]]), "must be finite. .*: received 1e\\+300 in channel 0, sample 1"),
    ],
)
def test_non_signal_is_refused_by_name(payload, message):
    with pytest.raises(DataError, match=message):
        plain().decode(payload, "here")


def test_preprocess_round_trips_through_json():
    pre = SignalPreprocess(channels=2, length=5, fit="pad", missing="zero", mean=(1.0, 2.0), std=(3.0, 4.0))
    assert pre.to_json()["modality"] == "signal"
    assert SignalPreprocess.from_json(pre.to_json()) == pre
    with pytest.raises(DataError, match="Update Neocog"):
        SignalPreprocess.from_json(pre.to_json() | {"version": 3})
    assert (pre.shape, pre.in_channels, pre.dtype) == ((2, 5), 2, torch.float32)


def source(*lengths, channels=2):
    signals = [np.ones((channels, length)) for length in lengths]
    return SignalSource("s", {"all": (signals, np.arange(len(lengths)) % 2)})


def test_choose_signal_fills_in_open_settings():
    spec, reasons = choose_signal(source(5, 5, 9), np.array([0, 1]), SignalConfig(), (1, 140))
    assert spec == SignalPreprocess(channels=2, length=5, fit="crop", missing="interpolate", scale="channel")
    assert reasons["length"] == "that of every signal; the network was made for 140"
    assert set(reasons) == {"length", "fit", "missing", "scale", "mask"}
    spec, reasons = choose_signal(source(5, 7, 9), np.array([0, 1]), SignalConfig(scale="series"), (1, 140))
    assert (spec.length, spec.scale) == (7, "series")
    assert "of the longest signal" in reasons["length"] and "scale" not in reasons
    spec, _ = choose_signal(source(5, 7), np.array([0, 1]), SignalConfig(length=40, fit="resample"), (1, 140))
    assert spec.shape == (2, 40) and spec.fit == "resample"


def test_length_out_of_range_is_named():
    with pytest.raises(DataError, match="2 to 1,048,576 samples. The longest of s has 1. Cut it"):
        choose_signal(source(1, 1), np.array([0, 1]), SignalConfig(), (1, 140))


def test_settings_without_an_effect_are_told():
    assert set(SignalConfig().ignored()) == {"step", "rate"}
    assert SignalConfig(window=9, step=3).ignored() == {}
    with pytest.raises(ValidationError):
        SignalConfig(length=1)


def test_columns_are_a_comma_separated_text_or_a_list():
    assert SignalConfig(columns="x, y").columns == SignalConfig(columns=["x", "y"]).columns == ("x", "y")
    with pytest.raises(ValidationError):
        SignalConfig(columns=[])


def test_every_nan_bit_pattern_is_a_missing_value():
    signal = np.array([[0x3F800000, 0x7FA00000, 0x7FC00000, 0xFFFFFFFF]], np.uint32).view(np.float32)
    pre = SignalPreprocess(channels=1, length=4, scale="none")
    assert pre(signal).tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize(("largest", "scale"), [(100.0, "channel"), (1e5, "series")])
def test_signals_of_very_different_size_get_a_scale_each(largest, scale):
    sizes = np.geomspace(1.0, largest, 40)
    signals = np.random.default_rng(0).standard_normal((40, 1, 50)) * sizes[:, None, None]
    signals[0, 0] = 3.0  # a constant signal says nothing
    signals[1, 0, :49] = np.nan
    source = open_source((signals, np.arange(40) % 2))
    pre, reasons = choose_signal(source, np.arange(40), SignalConfig(), (1, 50))
    assert pre.scale == scale
    assert ("on one scale the small ones would vanish" in reasons["scale"]) == (scale == "series")
    kept, _ = choose_signal(source, np.arange(40), SignalConfig(scale="none"), (1, 50))
    assert kept.scale == "none"
