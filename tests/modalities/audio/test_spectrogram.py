import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft, signal

from neocog.modalities.audio.spectrogram import (
    FLOOR,
    dct_matrix,
    hertz_to_mel,
    log_mel,
    mel_bank,
    mel_to_hertz,
    mfcc,
    pcen,
    power_spectrogram,
)


def wave(samples=1600):
    return torch.from_numpy(np.random.default_rng(0).normal(size=samples))


@given(st.floats(0, 20_000))
def test_mel_and_hertz_are_inverse(hertz):
    assert mel_to_hertz(hertz_to_mel(hertz)) == pytest.approx(hertz, abs=1e-6)


def test_mel_is_that_of_the_htk_book():
    assert hertz_to_mel([0, 700, 1000, 8000]) == pytest.approx([0, 781.17, 999.99, 2840.02], abs=0.01)


@given(st.integers(1, 30), st.sampled_from([128, 512]), st.floats(0, 1000), st.floats(2000, 4000))
def test_bank_is_made_of_triangles(num_mels, n_fft, f_min, f_max):
    bank = mel_bank(num_mels, n_fft, 8000, f_min, f_max).numpy()
    corners = mel_to_hertz(np.linspace(hertz_to_mel(f_min), hertz_to_mel(f_max), num_mels + 2))
    frequencies = np.fft.rfftfreq(n_fft, 1 / 8000)
    for band in range(num_mels):
        expected = np.interp(frequencies, corners[band : band + 3], [0, 1, 0], left=0, right=0)
        assert bank[:, band] == pytest.approx(expected, abs=1e-9)
    assert bank.shape == (n_fft // 2 + 1, num_mels)


@pytest.mark.parametrize(("kept", "bands"), [(1, 1), (10, 40), (40, 40), (13, 26)])
def test_cosine_transform_is_scipys(kept, bands):
    x = np.random.default_rng(0).normal(size=(7, bands))
    assert (x @ dct_matrix(kept, bands).numpy()) == pytest.approx(fft.dct(x, norm="ortho")[:, :kept], abs=1e-12)
    assert mfcc(torch.from_numpy(x), kept).numpy() == pytest.approx(fft.dct(x, norm="ortho")[:, :kept], abs=1e-12)


@pytest.mark.parametrize(("window", "hop", "n_fft"), [(400, 160, 512), (256, 100, 256), (33, 7, 64)])
def test_power_is_that_of_frames_by_hand(window, hop, n_fft):
    x = wave().numpy()
    found = power_spectrogram(wave(), window, hop, n_fft).numpy()
    assert found.shape == (1 + len(x) // hop, n_fft // 2 + 1)
    padded = np.pad(x, n_fft // 2)
    weights = np.zeros(n_fft)
    start = (n_fft - window) // 2
    weights[start : start + window] = signal.get_window("hann", window)
    for frame in range(len(found)):
        spectrum = np.fft.rfft(padded[frame * hop : frame * hop + n_fft] * weights)
        assert found[frame] == pytest.approx(np.abs(spectrum) ** 2, abs=1e-9)


def test_tone_is_loudest_in_its_band():
    times = np.arange(8000) / 8000
    power = power_spectrogram(torch.from_numpy(np.sin(2 * np.pi * 1000 * times)), 256, 80, 256)
    bands = log_mel(power, mel_bank(20, 256, 8000, 20.0, 4000.0))
    peaks = mel_to_hertz(np.linspace(hertz_to_mel(20), hertz_to_mel(4000), 22))[1:-1]
    assert bands[50].argmax() == np.abs(peaks - 1000).argmin()


def test_silence_has_a_logarithm():
    bands = log_mel(torch.zeros(3, 65, dtype=torch.float64), mel_bank(10, 128, 8000, 20.0, 4000.0))
    assert torch.equal(bands, torch.full((3, 10), np.log(FLOOR), dtype=torch.float64))


def pcen_by_hand(energy):
    """The formula, number by number."""
    found = np.zeros_like(energy)
    for band in range(energy.shape[1]):
        level = energy[0, band]
        for t in range(len(energy)):
            level = (1 - 0.025) * level + 0.025 * energy[t, band]
            found[t, band] = (energy[t, band] / (1e-6 + level) ** 0.98 + 2) ** 0.5 - 2**0.5
    return found


def test_pcen_is_its_formula():
    power = power_spectrogram(wave(), 256, 100, 256)
    bank = mel_bank(20, 256, 8000, 20.0, 4000.0)
    assert pcen(power, bank).numpy() == pytest.approx(pcen_by_hand((power @ bank).numpy()), abs=1e-12)
    silence = pcen(torch.zeros(3, 129, dtype=torch.float64), bank)
    assert torch.equal(silence, torch.zeros(3, 20, dtype=torch.float64))


def test_pcen_hardly_depends_on_loudness():
    bank = mel_bank(20, 256, 8000, 20.0, 4000.0)
    loud, quiet = (power_spectrogram(factor * wave(), 256, 100, 256) for factor in (10, 1))
    changed = (pcen(loud, bank) - pcen(quiet, bank)).abs().mean() / pcen(quiet, bank).std()
    assert changed < 0.2 < (log_mel(loud, bank) - log_mel(quiet, bank)).abs().mean() / log_mel(quiet, bank).std()
