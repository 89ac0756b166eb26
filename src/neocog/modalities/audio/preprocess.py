"""What is done to a sound before the network sees it, as data."""

import functools
import math
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass as settings
from torch import Tensor

from neocog.dataset.record import Modality, Payload
from neocog.errors import DataError
from neocog.modalities.audio.spectrogram import log_mel, mel_bank, mfcc, power_spectrogram
from neocog.modalities.audio.waveform import RATES, resample, sound_waveform
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.signal.preprocess import exact_sum
from neocog.settings import SETTINGS

__all__ = ["Features", "SoundConfig", "SoundPreprocess"]

Features = Literal["waveform", "mel", "mfcc"]
MAX_FFT = 2**16


@settings(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class SoundConfig:
    """What sounds become."""

    sample_rate: Annotated[int, Field(ge=RATES[0], le=RATES[1])] | None = None
    """Samples per second; unset: the recordings' own, at most 16,000."""
    seconds: Annotated[float, Field(gt=0, le=600)] | None = None
    """Longer sounds are cut to their centre, shorter ones lie between silence; unset: what 95% of the sounds need."""
    features: Features | None = None
    """The waveform, log-mel bands or cepstral coefficients; unset: what the network was made for."""
    window_ms: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Length of a frame in milliseconds."""
    hop_ms: Annotated[float, Field(gt=0, le=1000)] | None = None
    """From one frame to the next in milliseconds; unset: what gives the network its number of frames."""
    num_mels: Annotated[int, Field(ge=1, le=512)] | None = None
    """Bands of the mel scale."""
    num_coefficients: Annotated[int, Field(ge=1, le=512)] | None = None
    """Cepstral coefficients that are kept."""
    f_min: Annotated[float, Field(ge=0)] | None = None
    """Lowest frequency in hertz."""
    f_max: Annotated[float, Field(gt=0)] | None = None
    """Highest frequency in hertz; unset: half of the sample rate."""
    max_seconds: Annotated[float, Field(gt=0)] = 600.0
    """A longer sound is refused before it is decoded."""

    def ignored(self) -> dict[str, str]:
        if self.features == "waveform":
            names = ("window_ms", "hop_ms", "num_mels", "num_coefficients", "f_min", "f_max")
            return dict.fromkeys(names, "a waveform has no frames")
        return {"num_coefficients": "only mfcc has coefficients"} if self.features == "mel" else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundPreprocess(Preprocess):
    """Decode, mix to one channel, cut to the centre, resample, fill with silence, compute features, normalise.

    A call maps one payload to (1, frames, bands) float32, or (1, samples) for the waveform. A payload is an encoded
    sound, or a waveform (samples,) or (channels, samples) of floats at `sample_rate`.

    >>> pre = SoundPreprocess(sample_rate=16_000, seconds=1.0, features="mel")
    >>> pre(np.zeros(16_000, np.float32)).shape
    torch.Size([1, 101, 40])
    """

    modality: ClassVar[Modality] = "audio"

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
    max_seconds: float = 600.0
    """A longer sound is refused before it is decoded."""
    mean: tuple[float, ...] = (0.0,)
    """What is subtracted from each band, or from the waveform."""
    std: tuple[float, ...] = (1.0,)
    """What each band, or the waveform, is divided by."""
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
    def in_channels(self) -> int:
        return 1

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    @property
    def fill(self) -> Tensor:
        """Each band's mean; (bands,), or (1,) where there is one mean for all."""
        return torch.tensor(self.mean)

    def decode(self, payload: Payload, where: str = "the sound") -> Tensor:
        """One sound as (*shape) float32. Raises DataError with `where` in it."""
        if isinstance(payload, bytes):
            waveform, rate = sound_waveform(payload, where, self.max_seconds)
        else:
            waveform, rate = array_waveform(payload, where), self.sample_rate
        # Cut first: no more than what is used has to be resampled.
        waveform = centred(waveform, min(len(waveform), math.ceil(self.seconds * rate)))
        waveform = centred(resample(waveform, rate, self.sample_rate), self.num_samples)
        if self.features == "waveform":
            return torch.from_numpy(np.array(waveform, np.float32))[None]
        # In float64, whose rounding does not show in what is kept.
        samples = torch.from_numpy(waveform.astype(np.float64))
        bank = self.num_mels, self.n_fft, self.sample_rate, self.f_min, self.highest
        bands = log_mel(power_spectrogram(samples, self.window, self.hop, self.n_fft), mel_bank(*bank))
        features = mfcc(bands, self.num_coefficients) if self.features == "mfcc" else bands
        return features.float()[None]

    @property
    def n_fft(self) -> int:
        """Points of the Fourier transform; a frame is filled up with zeros to it."""
        return fft_size(self.window, self.num_mels, self.sample_rate, self.f_min, self.highest)

    def normalise(self, inputs: Tensor) -> Tensor:
        """(N, *shape) float32 -> the same, around zero."""
        mean, std = (torch.tensor(values).to(inputs.device) for values in (self.mean, self.std))
        return (inputs.float() - mean) / std

    def measured(self, inputs: Tensor) -> Self:
        """This preprocessing with the mean and deviation of each band, or of the waveform; inputs (N, *shape).

        Each sound's sums are added exactly, so that the result depends on no order.
        """
        width = 1 if self.features == "waveform" else self.shape[-1]
        sounds = inputs.numpy().reshape(len(inputs), -1, width)
        count = sounds.shape[0] * sounds.shape[1]
        mean = exact_sum(sound.sum(axis=0, dtype=np.float64) for sound in sounds) / count
        squares = exact_sum(((sound - mean) ** 2).sum(axis=0) for sound in sounds)
        std = np.sqrt(squares / count)
        # A band without any variation is left at its scale rather than divided by zero.
        return replace(self, mean=tuple(mean.tolist()), std=tuple(np.where(std > 1e-6, std, 1.0).tolist()))


def array_waveform(payload: Payload, where: str) -> NDArray[np.float32]:
    """A waveform given as an array; (samples,) or (channels, samples) -> (samples,)."""
    if (
        not isinstance(payload, np.ndarray)
        or payload.dtype.kind != "f"
        or payload.ndim not in (1, 2)
        or not payload.size
    ):
        kind = f"{payload.dtype} {payload.shape}" if isinstance(payload, np.ndarray) else type(payload).__name__
        raise DataError(
            f"A sound is an encoded file, or an array (samples,) or (channels, samples) of floats. Received: {kind}, "
            f"for {where}."
        )
    waveform: NDArray[np.float32] = np.atleast_2d(payload).mean(axis=0).astype(np.float32)
    if not np.isfinite(waveform).all():
        raise DataError(f"A waveform must be finite. {where} holds infinite values, or values that are no numbers.")
    return waveform


def centred(waveform: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Cut to the centre, or put between zeros; (samples,) -> (length,)."""
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
