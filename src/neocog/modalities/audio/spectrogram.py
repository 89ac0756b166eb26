"""From a waveform to spectral features: power by frequency, mel bands, and their cepstral coefficients."""

import functools

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

__all__ = ["dct_matrix", "hertz_to_mel", "log_mel", "mel_bank", "mel_to_hertz", "mfcc", "pcen", "power_spectrogram"]

FLOOR = 1e-6  # added to each band's power, so that silence has a logarithm
SMOOTHING, GAIN, BIAS, POWER = 0.025, 0.98, 2.0, 0.5  # s, alpha, delta and r of PCEN


def hertz_to_mel(hertz: ArrayLike) -> NDArray[np.float64]:
    """The mel scale of HTK, on which equal steps sound equally far apart.

        m = 2595 log10(1 + f / 700)

    Source: O'Shaughnessy 1987, "Speech communication", page 150; Young et al., "The HTK book", section 5.4. Slaney's
    scale, which is straight below 1 kHz, is not used.

    >>> round(float(hertz_to_mel(1000)))
    1000
    """
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz, np.float64) / 700))


def mel_to_hertz(mel: ArrayLike) -> NDArray[np.float64]:
    """The inverse of `hertz_to_mel`: f = 700 (10^(m / 2595) - 1)."""
    return np.asarray(700 * (10 ** (np.asarray(mel, np.float64) / 2595) - 1))


@functools.lru_cache(maxsize=32)
def mel_bank(num_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float) -> Tensor:
    """Triangles over the frequencies of an FFT; (n_fft / 2 + 1, num_mels) float64.

    Their corners lie equally far apart in mel from f_min to f_max. Each rises from 0 at its left neighbour's peak to 1
    at its own and falls to 0 at its right neighbour's, as in HTK; Slaney's division by the width is not done.
    Source: Davis & Mermelstein 1980; Young et al., "The HTK book", section 5.4.

    >>> mel_bank(40, 512, 16_000, 20.0, 8000.0).shape
    torch.Size([257, 40])
    """
    corners = mel_to_hertz(np.linspace(hertz_to_mel(f_min), hertz_to_mel(f_max), num_mels + 2))
    left, peak, right = corners[:-2], corners[1:-1], corners[2:]
    frequencies = np.arange(n_fft // 2 + 1)[:, None] * sample_rate / n_fft
    rising, falling = (frequencies - left) / (peak - left), (right - frequencies) / (right - peak)
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)))


@functools.lru_cache(maxsize=32)
def dct_matrix(num_coefficients: int, num_mels: int) -> Tensor:
    """The first rows of the orthonormal DCT-II, as columns; (num_mels, num_coefficients) float64.

        c[k] = s[k] sum_m x[m] cos(pi k (m + 1/2) / M),  s[0] = sqrt(1 / M), else sqrt(2 / M)

    Source: Ahmed, Natarajan & Rao 1974; Davis & Mermelstein 1980 for its use.
    """
    m, k = np.arange(num_mels)[:, None], np.arange(num_coefficients)
    matrix = np.sqrt(2 / num_mels) * np.cos(np.pi * k * (m + 0.5) / num_mels)
    matrix[:, 0] /= np.sqrt(2)
    return torch.from_numpy(matrix)


def power_spectrogram(waveform: Tensor, window: int, hop: int, n_fft: int) -> Tensor:
    """Squared magnitude of the Fourier transform of each frame; (samples,) -> (1 + samples // hop, n_fft / 2 + 1).

    Frame t is centred on sample t * hop and weighted with a Hann window of `window` samples; beyond the ends of the
    waveform there is silence.
    """
    hann = torch.hann_window(window, periodic=True, dtype=waveform.dtype)
    spectrum = torch.stft(
        waveform, n_fft, hop, window, hann, center=True, pad_mode="constant", onesided=True, return_complex=True
    )
    return spectrum.abs().square().T


def log_mel(power: Tensor, bank: Tensor) -> Tensor:
    """The logarithm of each band's power; (frames, bins), (bins, bands) -> (frames, bands)."""
    return (power @ bank + FLOOR).log()


def pcen(power: Tensor, bank: Tensor) -> Tensor:
    """Per-channel energy normalisation of each band's power; (frames, bins), (bins, bands) -> (frames, bands).

        PCEN = (E / (eps + M)^alpha + delta)^r - delta^r,   M[t] = (1 - s) M[t - 1] + s E[t],   M[0] = E[0]

    with alpha = 0.98, delta = 2, r = 0.5, s = 0.025 and eps = 1e-6: the loudness so far is divided out, and sudden
    sounds become prominent. Source: Wang et al. 2017, "Trainable frontend for robust and far-field keyword spotting",
    https://arxiv.org/abs/1607.05666, section 2, with the constants of its experiments.
    """
    energy = power @ bank
    level, levels = energy[0], []
    for frame in energy:
        level = (1 - SMOOTHING) * level + SMOOTHING * frame
        levels.append(level)
    gained = energy / (FLOOR + torch.stack(levels)).pow(GAIN)
    compressed: Tensor = (gained + BIAS).pow(POWER) - BIAS**POWER
    return compressed


def mfcc(log_bands: Tensor, num_coefficients: int) -> Tensor:
    """Mel-frequency cepstral coefficients, from c[0] on; (frames, bands) -> (frames, num_coefficients)."""
    return log_bands @ dct_matrix(num_coefficients, log_bands.shape[1])
