"""The preprocessing of audio, as data."""

import functools
import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Modality, Payload
from neocog.errors import DataError
from neocog.modalities.audio.spectrogram import log_mel, mel_bank, mfcc, pcen, power_spectrogram
from neocog.modalities.audio.waveform import resample, sound_waveform
from neocog.modalities.preprocess import Preprocess, exact_sum
from neocog.modalities.tensor_spec import TensorSpec

__all__ = ["AudioPreprocess", "Compression", "Features"]

Features = Literal["waveform", "mel", "mfcc"]
Compression = Literal["log", "pcen"]
MAX_FFT = 2**16


@dataclass(frozen=True, kw_only=True, slots=True)
class AudioPreprocess(Preprocess):
    """Decode, mix to mono, centre-crop, resample, zero-pad, compute features, normalise.

    A call maps one payload to (1, frames, bands) float32, or (1, samples) for the waveform. A payload is an audio
    file, or a waveform (samples,) or (channels, samples) of floats at `sample_rate`.

    >>> pre = AudioPreprocess(sample_rate=16_000, seconds=1.0, features="mel")
    >>> pre(np.zeros(16_000, np.float32)).shape
    torch.Size([1, 101, 40])
    """

    modality: ClassVar[Modality] = "audio"
    statistics_of: ClassVar[tuple[str, ...] | None] = (
        "features", "sample_rate", "window_ms", "num_mels", "num_coefficients", "f_min", "f_max",
        "compression",
    )  # fmt: skip

    sample_rate: int
    """Samples per second."""
    seconds: float
    features: Features
    window_ms: float = 30.0
    hop_ms: float = 10.0
    num_mels: int = 40
    num_coefficients: int = 40
    """Of features "mfcc"."""
    f_min: float = 20.0
    """Hertz."""
    f_max: float | None = None
    """Hertz; None: half of the sample rate."""
    compression: Compression = "log"
    """Of features "mel": the logarithm of each band's power, or per-channel energy normalisation."""
    max_seconds: float = 600.0
    """Longer audio is refused before it is decoded."""
    mean: tuple[float, ...] = (0.0,)
    """Subtracted from each band, or from the waveform."""
    std: tuple[float, ...] = (1.0,)
    """Divides each band, or the waveform."""
    version: int = field(default=1)

    @property
    def num_samples(self) -> int:
        return max(1, round(self.seconds * self.sample_rate))

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return max(2, round(self.window_ms / 1000 * self.sample_rate))

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return max(1, round(self.hop_ms / 1000 * self.sample_rate))

    @property
    def highest(self) -> float:
        return self.sample_rate / 2 if self.f_max is None else self.f_max

    @property
    def shape(self) -> tuple[int, ...]:
        if self.features == "waveform":
            return 1, self.num_samples
        bands = self.num_mels if self.features == "mel" else self.num_coefficients
        return 1, 1 + self.num_samples // self.hop, bands

    @property
    def fill(self) -> Tensor:
        """Each band's mean; (bands,), or (1,) if there is one mean for all."""
        return torch.tensor(self.mean)

    @property
    def payload_spec(self) -> TensorSpec:
        """Waveforms of one length at `sample_rate`, mixed to mono, (N, samples)."""
        return TensorSpec("waveforms", "float32", (None, None))

    def decode(self, payload: Payload, where: str = "the audio") -> Tensor:
        """One recording as (*shape) float32. Raises DataError with `where` in it."""
        if isinstance(payload, bytes):
            waveform, rate = sound_waveform(payload, where, self.max_seconds)
        else:
            waveform, rate = array_waveform(payload, where), self.sample_rate
        # Cropped first, so that nothing is resampled in vain.
        waveform = centre(waveform, min(len(waveform), math.ceil(self.seconds * rate)))
        waveform = centre(resample(waveform, rate, self.sample_rate), self.num_samples)
        if self.features == "waveform":
            return torch.from_numpy(np.array(waveform, np.float32))[None]
        # In float64, whose rounding does not show in float32.
        samples = torch.from_numpy(waveform.astype(np.float64))
        bank = self.num_mels, self.n_fft, self.sample_rate, self.f_min, self.highest
        compress = pcen if self.compression == "pcen" else log_mel
        bands = compress(power_spectrogram(samples, self.window, self.hop, self.n_fft), mel_bank(*bank))
        features = mfcc(bands, self.num_coefficients) if self.features == "mfcc" else bands
        return features.float()[None]

    @property
    def n_fft(self) -> int:
        """Points of the Fourier transform; a frame is zero-padded to it."""
        return fft_size(self.window, self.num_mels, self.sample_rate, self.f_min, self.highest)

    def normalise(self, inputs: Tensor) -> Tensor:
        """(N, *shape) float32 -> the same, around zero."""
        mean, std = (torch.tensor(values).to(inputs.device) for values in (self.mean, self.std))
        return (inputs.float() - mean) / std

    def measured(self, inputs: Tensor) -> Self:
        """This preprocessing with the mean and deviation of each band, or of the waveform; inputs (N, *shape).

        The sums of the recordings are added exactly, so that their order makes no difference.
        """
        width = 1 if self.features == "waveform" else self.shape[-1]
        recordings = inputs.numpy().reshape(len(inputs), -1, width)
        count = recordings.shape[0] * recordings.shape[1]
        mean = exact_sum(one.sum(axis=0, dtype=np.float64) for one in recordings) / count
        squares = exact_sum(((one - mean) ** 2).sum(axis=0) for one in recordings)
        std = np.sqrt(squares / count)
        # A constant band keeps its scale, rather than being divided by zero.
        return replace(self, mean=tuple(mean.tolist()), std=tuple(np.where(std > 1e-6, std, 1.0).tolist()))


def array_waveform(payload: Payload, where: str) -> NDArray[np.float32]:
    """A waveform given as an array; (samples,) or (channels, samples) -> (samples,)."""
    floats = isinstance(payload, np.ndarray) and payload.dtype.kind == "f"
    if not isinstance(payload, np.ndarray) or not floats or payload.ndim not in (1, 2) or not payload.size:
        kind = f"{payload.dtype} {payload.shape}" if isinstance(payload, np.ndarray) else type(payload).__name__
        rule = "Audio must be an encoded file, or an array (samples,) or (channels, samples) of floats."
        raise DataError(rule, received=kind, where=where)
    waveform: NDArray[np.float32] = np.atleast_2d(payload).mean(axis=0).astype(np.float32)
    if not np.isfinite(waveform).all():
        received = "infinite values, or values that are not numbers"
        raise DataError("A waveform must be finite.", received=received, where=where)
    return waveform


def centre(waveform: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Centre-cropped or zero-padded on both sides; (samples,) -> (length,)."""
    missing = length - len(waveform)
    if missing <= 0:
        start = -missing // 2
        return waveform[start : start + length]
    return np.pad(waveform, (missing // 2, missing - missing // 2))


@functools.lru_cache(maxsize=32)
def fft_size(window: int, num_mels: int, sample_rate: int, f_min: float, f_max: float) -> int:
    """The smallest power of two that holds a frame and leaves no band without a frequency of its own.

    >>> fft_size(400, 40, 16_000, 20.0, 8000.0)
    512
    """
    size: int = 2 ** math.ceil(math.log2(window))
    while size < MAX_FFT and not bool((mel_bank(num_mels, size, sample_rate, f_min, f_max) > 0).any(dim=0).all()):
        size *= 2
    return size
