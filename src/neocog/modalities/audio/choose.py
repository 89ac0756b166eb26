"""Settings of audio, and choosing its preprocessing: what they leave open follows from the data and the network."""

import math
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.dataset.record import Record, Source
from neocog.errors import ConfigError, DataError, agree
from neocog.modalities.audio.preprocess import AudioPreprocess, Compression, Features
from neocog.modalities.audio.spectrogram import mel_bank
from neocog.modalities.audio.waveform import LENGTH_UNKNOWN, RATES, SoundHeader, sound_header
from neocog.modalities.choose import Choices, read_headers
from neocog.progress import note
from neocog.settings import SETTINGS

__all__ = ["AudioConfig", "choose_audio"]

COVERED = 0.95  # share of the recordings that fit into the chosen time
LONGEST = 10.0  # seconds, the most that is chosen
SPEECH_RATE = 16_000
WINDOW_MS = 30.0  # Tang & Lin 2018
MIN_MELS = 40  # for cepstral coefficients, of which fewer may be kept
GIVEN = ("f_min", "f_max", "compression")  # that follow from neither the data nor the network
PUBLISHED_MFCC = ((101, 40), (49, 10))  # inputs of Tang & Lin 2018 and Zhang et al. 2017


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class AudioConfig:
    """How audio is preprocessed."""

    sample_rate: Annotated[int, Field(ge=RATES[0], le=RATES[1])] | None = None
    """Samples per second; unset: that of the recordings, at most 16,000."""
    seconds: Annotated[float, Field(gt=0, le=600)] | None = None
    """Longer recordings are centre-cropped, shorter ones zero-padded; unset: what covers 95% of the recordings."""
    features: Features | None = None
    """The waveform, log-mel bands or cepstral coefficients; unset: what the network was made for."""
    window_ms: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Length of a frame in milliseconds."""
    hop_ms: Annotated[float, Field(gt=0, le=1000)] | None = None
    """From one frame to the next in milliseconds; unset: such that the network gets its number of frames."""
    num_mels: Annotated[int, Field(ge=1, le=512)] | None = None
    """Number of mel bands."""
    num_coefficients: Annotated[int, Field(ge=1, le=512)] | None = None
    """Number of cepstral coefficients to keep."""
    f_min: Annotated[float, Field(ge=0)] | None = None
    """Lowest frequency in hertz."""
    f_max: Annotated[float, Field(gt=0)] | None = None
    """Highest frequency in hertz; unset: half of the sample rate."""
    compression: Compression | None = None
    """log: the logarithm of each mel band; pcen: per-channel energy normalisation, for speech at any distance (Wang et
    al. 2017); unset: log."""
    max_seconds: Annotated[float, Field(gt=0)] = 600.0
    """Refuse longer audio before it is decoded."""

    def ignored(self) -> dict[str, str]:
        if self.features == "waveform":
            names = ("window_ms", "hop_ms", "num_mels", "num_coefficients", "f_min", "f_max", "compression")
            return dict.fromkeys(names, "a waveform has no frames")
        if self.features == "mfcc":
            return {"compression": "cepstral coefficients are those of the logarithm"}
        return {"num_coefficients": "only mfcc has coefficients"} if self.features == "mel" else {}


def choose_audio(
    source: Source,
    indices: NDArray[np.int64],
    settings: AudioConfig,
    input_shape: tuple[int, ...],
    *,
    skip: bool = False,
    **_: object,
) -> tuple[AudioPreprocess, dict[str, str]]:
    """As `neocog.modalities.table.Choose`; the settings that are set are kept.

    A network of frames x bands gets that many: bands by their number, frames by the hop. A network with one axis gets
    the waveform. A note says how many headers do not state the length. Raises ConfigError for settings that do not go
    together, and DataError that names all recordings that can't be read, unless such are to be skipped.
    """
    headers = read_headers(source, indices, partial(read_header, max_seconds=settings.max_seconds), skip=skip)
    if streamed := sum(not header.states_length for header in headers):
        note(f"  of the training data, {agree(LENGTH_UNKNOWN, streamed)}")
    input_size = input_shape[1:]
    made_for = f"the network was made for {'x'.join(map(str, input_size))}"
    choices = Choices(settings)
    rate = choices.pick("sample_rate", *common_rate([header.sample_rate for header in headers]))
    seconds = choices.pick("seconds", *covering_length(sorted(header.seconds for header in headers)))
    published = "mfcc" if input_size in PUBLISHED_MFCC else "mel"
    features = choices.pick("features", published if len(input_size) == 2 else "waveform", made_for)
    refuse_ignored(settings, features)
    if features != "waveform":
        frames, bands = input_size if len(input_size) == 2 else (101, MIN_MELS)
        spread_frames(choices, frames, seconds * rate, rate, made_for)
        choices.pick("window_ms", max(WINDOW_MS, 2 * choices.values["hop_ms"]), "frames overlap by half or more")
        if features == "mfcc":
            kept = choices.pick("num_coefficients", bands, made_for)
            bands, made_for = max(MIN_MELS, kept), "usual for speech, or the number of coefficients"
        choices.pick("num_mels", bands, made_for)
    given = {key: getattr(settings, key) for key in GIVEN if getattr(settings, key) is not None}
    spec = AudioPreprocess(**choices.values, **given, max_seconds=settings.max_seconds)
    check_settings(spec)
    return spec, choices.reasons


def read_header(record: Record, where: str, max_seconds: float) -> SoundHeader:
    if not isinstance(record.payload, bytes):
        raise DataError("Audio must be an encoded file.", received=type(record.payload).__name__, where=where)
    return sound_header(record.payload, where, max_seconds)


def refuse_ignored(settings: AudioConfig, features: Features) -> None:
    """Raises ConfigError for a setting that has no effect on these features."""
    for key, reason in replace(settings, features=features).ignored().items():
        if getattr(settings, key) is not None:
            why = f"audio.{key} would be ignored, because {reason}, and the features are {features!r}"
            rule, fix = f"A setting must have an effect. {why}.", "Remove it, or set audio.features."
            raise ConfigError(rule, fix=fix, kind="ignored")


def spread_frames(choices: Choices, frames: int, samples: float, rate: int, made_for: str) -> None:
    """Choose the hop that spreads the frames over the time; a time that was chosen is changed to fit exactly."""
    steps = max(1, frames - 1)
    free = choices.settings.seconds is None and choices.settings.hop_ms is None
    hop = max(1, round(samples / steps) if free else int(samples / steps))
    choices.pick("hop_ms", 1000 * hop / rate, f"gives {frames} frames; {made_for}")
    if free:
        choices.values["seconds"] = hop * steps / rate


def common_rate(rates: list[int]) -> tuple[int, str]:
    """The most frequent sample rate, at most that of speech."""
    ((rate, count),) = Counter(rates).most_common(1)
    if rate > SPEECH_RATE:
        return SPEECH_RATE, f"enough for speech; most recordings have {rate:,}"
    return rate, "that of the recordings" if count == len(rates) else f"that of {count:,} of {len(rates):,} recordings"


def covering_length(lengths: list[float]) -> tuple[float, str]:
    """The time in seconds, rounded up to hundredths, that only a few recordings exceed; `lengths` are sorted."""
    seconds = math.ceil(100 * lengths[math.ceil(COVERED * len(lengths)) - 1] - 1e-6) / 100
    if seconds > LONGEST:
        return LONGEST, f"the most that is chosen; the longest recording has {lengths[-1]:,.1f}"
    return seconds, f"covers about {COVERED:.0%} of the recordings; the longest has {lengths[-1]:.2f}"


def check_settings(spec: AudioPreprocess) -> None:
    """Raises ConfigError for impossible frequencies, bands or coefficients."""
    if spec.features == "waveform":
        return
    nyquist = spec.sample_rate / 2
    if not 0 <= spec.f_min < spec.highest <= nyquist:
        rule = f"Frequencies must satisfy 0 <= f_min < f_max <= {nyquist:g}, half of the sample rate."
        fix = "Change audio.f_min, audio.f_max or audio.sample_rate."
        raise ConfigError(rule, received=f"f_min={spec.f_min:g}, f_max={spec.highest:g}", fix=fix)
    if spec.features == "mfcc" and spec.num_coefficients > spec.num_mels:
        rule, fix = "There can't be more coefficients than mel bands.", "Raise audio.num_mels."
        received = f"num_coefficients={spec.num_coefficients}, num_mels={spec.num_mels}"
        raise ConfigError(rule, received=received, fix=fix)
    bank = mel_bank(spec.num_mels, spec.n_fft, spec.sample_rate, spec.f_min, spec.highest)
    if not bool((bank > 0).any(dim=0).all()):
        rule, fix = "Each mel band needs a frequency of its own.", "Use fewer bands, or a wider range."
        received = f"num_mels={spec.num_mels} from {spec.f_min:g} to {spec.highest:g} Hz"
        raise ConfigError(rule, received=received, fix=fix)
