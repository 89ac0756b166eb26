"""The preprocessing of audio as a part of a graph: from waveforms of any length to a network's inputs."""

import math

import torch
from torch import Tensor, nn

from neocog.exporting.axes import Length, number
from neocog.modalities.audio.preprocess import AudioPreprocess
from neocog.modalities.audio.spectrogram import BIAS, FLOOR, GAIN, POWER, SMOOTHING, dct_matrix, mel_bank

__all__ = ["AudioReader"]


class AudioReader(nn.Module):
    """Waveforms cropped or padded, and their features, normalised; (N, samples) float32 -> (N, *shape).

    The Fourier transform is a product with weighted cosines and sines, and the recursion of PCEN one with a triangular
    matrix, in float64 as in `neocog.modalities.audio.spectrogram`.
    """

    waves: Tensor
    bank: Tensor

    def __init__(self, spec: AudioPreprocess) -> None:
        super().__init__()
        self.spec = spec
        if spec.features != "waveform":
            self.register_buffer("waves", fourier(spec.window, spec.n_fft))
            self.register_buffer(
                "bank", mel_bank(spec.num_mels, spec.n_fft, spec.sample_rate, spec.f_min, spec.highest)
            )

    def forward(self, waveforms: Tensor) -> Tensor:
        spec = self.spec
        samples = centred(waveforms, spec)
        if spec.features == "waveform":
            return spec.normalise(samples[:, None])
        bands = self.energy(samples.double())
        features = pcen(bands) if spec.compression == "pcen" else (bands + FLOOR).log()
        if spec.features == "mfcc":
            features = features @ dct_matrix(spec.num_coefficients, spec.num_mels)
        return spec.normalise(features.float()[:, None])

    def energy(self, samples: Tensor) -> Tensor:
        """The power of each band in each frame; (N, samples) -> (N, frames, bands)."""
        spec = self.spec
        # torch.stft centres the window in its n_fft samples, and these on the frame.
        before = spec.n_fft // 2 - (spec.n_fft - spec.window) // 2
        starts = torch.arange(1 + spec.num_samples // spec.hop) * spec.hop - before
        places = starts[:, None] + torch.arange(spec.window)
        inside = ((places >= 0) & (places < spec.num_samples)).double()
        frames = samples[:, places.clamp(0, spec.num_samples - 1)] * inside
        spectrum = (frames @ self.waves).square()
        real, imaginary = spectrum.chunk(2, dim=-1)
        return (real + imaginary) @ self.bank


def centred(waveforms: Tensor, spec: AudioPreprocess) -> Tensor:
    """The middle of waveforms, or silence on both sides; (N, samples) -> (N, num_samples)."""
    size, most = spec.num_samples, math.ceil(spec.seconds * spec.sample_rate)
    places = torch.arange(size, dtype=torch.float64) + first_sample(waveforms.shape[1], size, most)
    last = number(waveforms.shape[1]) - 1
    inside = (places >= 0) & (places <= last)
    taken = waveforms.index_select(1, torch.minimum(places.clamp(min=0), last).long())
    return torch.where(inside, taken, 0.0)


def first_sample(length: Length, size: int, most: int) -> Tensor:
    """Where the middle begins; negative for silence. Waveforms are cut to `most` samples first; () float64."""
    full = number(length)
    cropped = ((full - most) / 2).floor().clamp(min=0)
    left = torch.minimum(full, torch.tensor(float(most)).double())
    # Half of what is too much, and half of what is missing, are both rounded down.
    return cropped + torch.where(left >= size, ((left - size) / 2).floor(), -((size - left) / 2).floor())


def fourier(window: int, n_fft: int) -> Tensor:
    """Cosines and sines for each frequency times a Hann window; (window, 2 * (n_fft / 2 + 1)) float64."""
    times = torch.arange(window, dtype=torch.float64)[:, None]
    angles = 2 * math.pi * times * torch.arange(n_fft // 2 + 1) / n_fft
    hann = torch.hann_window(window, periodic=True, dtype=torch.float64)[:, None]
    return torch.cat([angles.cos() * hann, angles.sin() * hann], dim=1)


def pcen(energy: Tensor) -> Tensor:
    """`neocog.modalities.audio.spectrogram.pcen`, its levels as one product; (N, frames, bands)."""
    count = energy.shape[1]
    steps = torch.arange(count, dtype=torch.float64)
    ages = steps[:, None] - steps
    shares = SMOOTHING * (1 - SMOOTHING) ** ages.clamp(min=0) * (ages >= 0)
    shares[:, 0] += (1 - SMOOTHING) ** (steps + 1)
    levels = shares @ energy
    found: Tensor = ((energy / (FLOOR + levels).pow(GAIN)) + BIAS).pow(POWER) - BIAS**POWER
    return found
