import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import ConfigError
from neocog.modalities.signal.augment import SignalAugmentConfig, augment_signals
from neocog.rng import integers, normal, uniform

GENERATOR = torch.Generator().manual_seed(0)
SIGNALS = torch.randn(40, 3, 50, generator=GENERATOR)
SPECTROGRAMS = torch.randn(40, 1, 30, 20, generator=GENERATOR)
SAMPLES = np.arange(1000, 1040, dtype=np.uint64)
FILL = torch.tensor(-7.0)


def run(config, inputs=SIGNALS, samples=None, epoch=0, fill=FILL):
    samples = SAMPLES[: len(inputs)] if samples is None else samples
    return augment_signals(inputs, samples, config, seed=5, epoch=epoch, fill=fill)


def many(count, inputs):
    return inputs.expand(count, *inputs.shape[1:]), np.arange(count, dtype=np.uint64)


configs = st.builds(
    SignalAugmentConfig,
    jitter=st.sampled_from([0.0, 0.3]),
    scale=st.sampled_from([0.0, 0.2]),
    shift=st.integers(0, 9),
    border=st.sampled_from(["fill", "wrap"]),
    warp=st.sampled_from([0.0, 1.0]),
    time_mask=st.sampled_from([0.0, 0.4]),
)


@given(configs, st.integers(0, 39), st.integers(1, 40), st.booleans())
def test_sample_comes_out_the_same_in_any_batch(config, start, count, sound):
    inputs = SPECTROGRAMS if sound else SIGNALS
    part = slice(start, start + count)
    assert torch.equal(run(config, inputs)[part], run(config, inputs[part], SAMPLES[part]))


@given(configs, st.booleans())
def test_shape_type_and_input_are_kept(config, sound):
    inputs = SPECTROGRAMS if sound else SIGNALS
    before = inputs.clone()
    changed = run(config, inputs)
    assert (changed.shape, changed.dtype) == (inputs.shape, torch.float32)
    assert torch.isfinite(changed).all()
    assert torch.equal(inputs, before)


def test_no_augmentation_returns_the_same_tensor():
    assert run(SignalAugmentConfig()) is SIGNALS


def test_draws_change_with_the_epoch():
    config = SignalAugmentConfig(shift=5, warp=1.0)
    assert not torch.equal(run(config, epoch=0), run(config, epoch=1))


def test_jitter_adds_noise_of_its_deviation():
    inputs, samples = many(200, SIGNALS[:1])
    noise = run(SignalAugmentConfig(jitter=0.3), inputs, samples) - inputs
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    assert abs(noise.mean()) < 0.01
    assert (noise[0] - noise[1]).abs().max() > 0.1
    expected = 0.3 * normal(5, 0, samples, "signal jitter", 150).reshape(200, 3, 50)
    assert noise.numpy() == pytest.approx(expected, abs=1e-5)


def test_scale_draws_one_factor_for_each_sample():
    inputs, samples = many(500, SIGNALS[:1])
    factors = run(SignalAugmentConfig(scale=0.2), inputs, samples, fill=torch.zeros(())) / inputs
    assert (factors - factors[:, :1, :1]).abs().max() < 1e-4
    assert 0.8 <= factors.min() < 0.81 and 1.19 < factors.max() <= 1.2001
    about = run(SignalAugmentConfig(scale=0.2))
    assert torch.allclose((about - FILL) / (SIGNALS - FILL), ((about - FILL) / (SIGNALS - FILL))[:, :1, :1], atol=1e-4)


@pytest.mark.parametrize("inputs", [SIGNALS, SPECTROGRAMS])
@pytest.mark.parametrize("border", ["fill", "wrap"])
def test_shift_moves_along_the_time(inputs, border):
    moved = run(SignalAugmentConfig(shift=6, border=border), inputs)
    moves = integers(5, 0, SAMPLES, "signal shift", -6, 6)[:, 0].tolist()
    assert {min(moves), max(moves)} == {-6, 6}
    for before, after, move in zip(inputs, moved, moves, strict=True):
        expected = before.roll(move, dims=1)
        if border == "fill" and move > 0:
            expected[:, :move] = FILL
        elif border == "fill" and move < 0:
            expected[:, move:] = FILL
        assert torch.equal(after, expected)


def test_fill_may_differ_by_band():
    fill = torch.arange(20.0)
    moved = run(SignalAugmentConfig(shift=6), SPECTROGRAMS, fill=fill)
    move = integers(5, 0, SAMPLES, "signal shift", -6, 6)[0, 0]
    assert move != 0
    outside = moved[0, 0, :move] if move > 0 else moved[0, 0, move:]
    assert torch.equal(outside, fill.expand_as(outside))


def test_warp_stretches_a_tenth_by_the_drawn_factor():
    length = 1001
    ramp, samples = many(300, torch.arange(float(length))[None, None])
    times = run(SignalAugmentConfig(warp=1.0), ramp, samples)[:, 0].double().numpy()  # the old time at each new one
    assert times[:, 0] == pytest.approx(0) and times[:, -1] == pytest.approx(length - 1)
    steps = np.diff(times, axis=1)
    assert (steps > 0).all()
    factors = 2.0 ** (2 * uniform(5, 0, samples, "signal warp", 2)[:, 1] - 1)
    assert 0.5 <= factors.min() < 0.52 and 1.95 < factors.max() <= 2
    for row, factor in zip(steps, factors, strict=True):
        usual = (1000 + 100 * (factor - 1)) / 1000  # how much longer the whole became before it was brought back
        inside = (
            np.median(row[np.abs(row - usual / factor) < np.abs(row - usual)])
            if abs(factor - 1) > 0.05
            else usual / factor
        )
        assert inside == pytest.approx(usual / factor, rel=0.02)
        assert np.median(row) == pytest.approx(usual, rel=0.02)


@given(st.sampled_from([2, 3, 10, 50]), st.floats(0.01, 3))
def test_warp_keeps_values_between_the_extremes(length, most):
    warped = run(SignalAugmentConfig(warp=most), SIGNALS[:, :, :length])
    assert (warped.amax(2) <= SIGNALS[:, :, :length].amax(2) + 1e-5).all()
    assert (warped.amin(2) >= SIGNALS[:, :, :length].amin(2) - 1e-5).all()


def test_one_frame_can_not_be_warped():
    assert torch.equal(run(SignalAugmentConfig(warp=1.0), SPECTROGRAMS[:, :, :1]), SPECTROGRAMS[:, :, :1])


@pytest.mark.parametrize(("axis", "kind", "size"), [(2, "time_mask", 30), (3, "frequency_mask", 20)])
def test_mask_is_one_stretch_up_to_the_given_share(axis, kind, size):
    inputs, samples = many(3000, SPECTROGRAMS[:1])
    masked = run(SignalAugmentConfig(**{kind: 0.3}), inputs, samples)
    hidden = (masked == FILL).transpose(2, axis)[:, 0]  # (N, size, others)
    assert torch.equal(hidden.any(2), hidden.all(2))
    stretch = hidden.all(2).numpy()
    lengths = stretch.sum(1)
    most = int(0.3 * size)
    assert np.bincount(lengths).shape == (most + 1,)
    assert np.bincount(lengths) / 3000 == pytest.approx(np.full(most + 1, 1 / (most + 1)), abs=0.03)
    edges = np.diff(np.pad(stretch, ((0, 0), (1, 1))).astype(int), axis=1)
    assert ((edges == 1).sum(1) == (lengths > 0)).all()
    assert stretch[:, 0].any() and stretch[:, -1].any()
    assert torch.equal(masked[masked != FILL], inputs[masked != FILL])


def stretches(masked, axis, size):
    """Which places along an axis are masked in whole; (N, size)."""
    return (masked == FILL).movedim(axis, 1).reshape(len(masked), size, -1).all(2).numpy()


@pytest.mark.parametrize(("axis", "kind", "size"), [(2, "time", 30), (3, "frequency", 20)])
@pytest.mark.parametrize(
    ("width", "share", "widest"), [(4, 0.0, 4), (8, 0.2, None), (100, 0.0, None), (100, 1.0, None)]
)
def test_masks_are_those_of_spec_augment(axis, kind, size, width, share, widest):
    """t from {0, ..., min(T, p tau)} and t0 from where t fits, each m times, against a loop over samples."""
    widest = widest or min(width, int((share or 1) * size))
    inputs, samples = many(400, SPECTROGRAMS[:1])
    config = SignalAugmentConfig(**{f"{kind}_mask": share, f"{kind}_width": width, f"{kind}_masks": 3})
    found = stretches(run(config, inputs, samples), axis, size)
    expected = np.zeros((400, size), bool)
    seen = set()
    for purpose in (f"{kind} mask", f"{kind} mask 2", f"{kind} mask 3"):
        for row, (u, v) in zip(expected, uniform(5, 0, samples, purpose, 2), strict=True):
            length = int(u * (widest + 1))
            start = int(v * (size - length + 1))
            row[start : start + length] = True
            seen.add(length)
    assert np.array_equal(found, expected)
    assert seen == set(range(widest + 1))


def test_bands_are_shifted_and_the_outermost_fills_the_gap():
    moved = run(SignalAugmentConfig(frequency_shift=3), SPECTROGRAMS)
    moves = integers(5, 0, SAMPLES, "band shift", -3, 3)[:, 0].tolist()
    assert set(moves) == set(range(-3, 4))
    for before, after, move in zip(SPECTROGRAMS, moved, moves, strict=True):
        padded = torch.cat([before[..., :1]] * 3 + [before] + [before[..., -1:]] * 3, dim=-1)
        assert torch.equal(after, padded[..., 3 - move : 23 - move])
    with pytest.raises(
        ConfigError, match="A frequency shift needs frequency bands. Received: frequency_shift=2 for sig"
    ):
        run(SignalAugmentConfig(frequency_shift=2))


def test_one_mask_is_what_the_share_alone_gives():
    wide = SignalAugmentConfig(time_mask=0.3, time_width=9, time_masks=1, frequency_mask=0.3, frequency_width=6)
    assert torch.equal(
        run(wide, SPECTROGRAMS), run(SignalAugmentConfig(time_mask=0.3, frequency_mask=0.3), SPECTROGRAMS)
    )


def test_masks_of_one_sample_differ():
    config = SignalAugmentConfig(time_width=5, time_masks=2)
    one, two = (uniform(5, 0, SAMPLES, purpose, 2) for purpose in ("time mask", "time mask 2"))
    assert not np.allclose(one, two)
    several = stretches(run(config, SPECTROGRAMS), 2, 30)
    assert (np.diff(np.pad(several, ((0, 0), (1, 1))).astype(int), axis=1) == 1).sum(1).max() == 2


def test_all_may_be_masked():
    masked = run(SignalAugmentConfig(time_mask=1.0), *many(200, SIGNALS[:1]))
    assert (masked == FILL).all(dim=(1, 2)).any()


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="needs frequency bands. Received: frequency_mask=0.2 for signals of 3x50"):
        run(SignalAugmentConfig(frequency_mask=0.2))
    with pytest.raises(ConfigError, match="smaller than the signals. Received: shift=50 for 50 samples"):
        run(SignalAugmentConfig(shift=50))
    with pytest.raises(ConfigError, match="needs frequency bands. Received: frequency_width=4 for signals of 3x50"):
        run(SignalAugmentConfig(frequency_width=4))
    nothing = {"time_masks": "no time is masked", "frequency_masks": "no bands are masked"}
    assert SignalAugmentConfig(jitter=1).ignored() == {"border": "nothing is shifted", **nothing}
    assert SignalAugmentConfig(shift=1).ignored() == nothing
    masked = {"time_width": 3, "frequency_mask": 0.1}
    assert SignalAugmentConfig(shift=1, **masked).ignored() == {}
