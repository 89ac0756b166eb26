"""Choosing a sound's preprocessing: what the settings leave open follows from the recordings and the network."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Source
from neocog.errors import ConfigError, DataError, agree
from neocog.modalities.audio.preprocess import Features, SoundConfig, SoundPreprocess
from neocog.modalities.audio.spectrogram import mel_bank
from neocog.modalities.audio.waveform import LENGTH_UNKNOWN, SoundHeader, sound_header
from neocog.modalities.survey import all_faults, surveyed
from neocog.progress import note, track

__all__ = ["choose_sound"]

COVERED = 0.95  # share of the recordings that fit into the chosen time
LONGEST = 10.0  # seconds that are chosen at most
SPEECH_RATE = 16_000
WINDOW_MS = 30.0  # Tang & Lin 2018
MIN_MELS = 40  # for cepstral coefficients, of which fewer may be kept
PUBLISHED_MFCC = ((101, 40), (49, 10))  # inputs of Tang & Lin 2018 and Zhang et al. 2017


def choose_sound(
    source: Source, indices: NDArray[np.int64], config: SoundConfig, input_size: tuple[int, ...], *, skip: bool = False
) -> tuple[SoundPreprocess, dict[str, str]]:
    """The preprocessing for these sounds and a network's input size, and a reason for each value that was chosen.

    What the config sets is kept. A network of frames x bands gets as many: bands by their number, frames by the hop.
    A network with one axis gets the waveform. A note says how many headers do not state their sound's length. Raises
    ConfigError for settings that do not go together, and DataError that names all sounds that can't be read, unless
    such are to be skipped.
    """
    headers = survey(source, indices, config.max_seconds, skip=skip)
    if streamed := sum(not header.states_length for header in headers):
        note(f"  of the training data, {agree(LENGTH_UNKNOWN, streamed)}")
    info = f"the network was made for {'x'.join(map(str, input_size))}"
    choice = Choice(config)
    rate = choice.pick("sample_rate", *common_rate(headers))
    seconds = choice.pick("seconds", *covering(headers))
    features = choice.pick("features", features_for(input_size), info)
    refuse_ignored(config, features)
    if features != "waveform":
        frames, bands = input_size if len(input_size) == 2 else (101, MIN_MELS)
        spread_frames(choice, frames, seconds * rate, rate, info)
        choice.pick("window_ms", max(WINDOW_MS, 2 * choice.values["hop_ms"]), "frames overlap by half or more")
        if features == "mfcc":
            kept = choice.pick("num_coefficients", bands, info)
            choice.pick(
                "num_mels", max(MIN_MELS, kept), "as many as are usual for speech, or as there are coefficients"
            )
        else:
            choice.pick("num_mels", bands, info)
    given = {key: getattr(config, key) for key in ("f_min", "f_max") if getattr(config, key) is not None}
    spec = SoundPreprocess(**choice.values, **given, max_seconds=config.max_seconds)
    check_settings(spec)
    return spec, choice.reasons


class Choice:
    """The values so far, and why those were chosen that the user did not set."""

    def __init__(self, config: SoundConfig) -> None:
        self.config = config
        self.values: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}

    def pick(self, key: str, value: Any, reason: str) -> Any:
        """The user's value where there is one, else this."""
        given = getattr(self.config, key)
        if given is None:
            self.reasons[key] = reason
        self.values[key] = value if given is None else given
        return self.values[key]


def refuse_ignored(config: SoundConfig, features: Features) -> None:
    """Raises ConfigError for a setting that these features leave without an effect."""
    for key, reason in replace(config, features=features).ignored().items():
        if getattr(config, key) is not None:
            raise ConfigError(
                f"A setting must have an effect. audio.{key} would be ignored: {reason}, and the features are "
                f"{features!r}. Remove it, or set audio.features."
            )


def spread_frames(choice: Choice, frames: int, samples: float, rate: int, info: str) -> None:
    """The hop that spreads so many frames over the time; a time that was chosen is changed so that it fits exactly."""
    steps = max(1, frames - 1)
    free = choice.config.seconds is None and choice.config.hop_ms is None
    hop = max(1, round(samples / steps) if free else int(samples / steps))
    choice.pick("hop_ms", 1000 * hop / rate, f"gives {frames} frames; {info}")
    if free:
        choice.values["seconds"] = hop * steps / rate


def features_for(input_size: tuple[int, ...]) -> Features:
    """What a network of this input was published with; log-mel bands where nothing is known."""
    if len(input_size) != 2:
        return "waveform"
    return "mfcc" if input_size in PUBLISHED_MFCC else "mel"


def common_rate(headers: list[SoundHeader]) -> tuple[int, str]:
    """The rate of most recordings, at most that of speech."""
    ((rate, count),) = Counter(header.sample_rate for header in headers).most_common(1)
    if rate > SPEECH_RATE:
        return SPEECH_RATE, f"enough for speech; most recordings have {rate:,}"
    return rate, "the recordings' own" if count == len(headers) else f"that of {count:,} of {len(headers):,} recordings"


def covering(headers: list[SoundHeader]) -> tuple[float, str]:
    """The time in seconds, rounded up to hundredths, that no more than a few recordings exceed."""
    lengths = sorted(header.seconds for header in headers)
    seconds = math.ceil(100 * lengths[math.ceil(COVERED * len(lengths)) - 1] - 1e-6) / 100
    if seconds > LONGEST:
        return LONGEST, f"no more is chosen than this; the longest recording has {lengths[-1]:,.1f}"
    return seconds, f"{COVERED:.0%} of the recordings are no longer, about; the longest has {lengths[-1]:.2f}"


def check_settings(spec: SoundPreprocess) -> None:
    """Raises ConfigError for frequencies, bands or frames that can't be."""
    if spec.features == "waveform":
        return
    nyquist = spec.sample_rate / 2
    if not 0 <= spec.f_min < spec.highest <= nyquist:
        raise ConfigError(
            f"Frequencies lie in order from 0 to half of the sample rate, {nyquist:g}. Received: f_min={spec.f_min:g}, "
            f"f_max={spec.highest:g}. Change audio.f_min, audio.f_max or audio.sample_rate."
        )
    if spec.features == "mfcc" and spec.num_coefficients > spec.num_mels:
        raise ConfigError(
            f"There are at most as many coefficients as bands. Received: num_coefficients={spec.num_coefficients}, "
            f"num_mels={spec.num_mels}. Raise audio.num_mels."
        )
    bank = mel_bank(spec.num_mels, spec.n_fft, spec.sample_rate, spec.f_min, spec.highest)
    if not bool((bank > 0).any(dim=0).all()):
        raise ConfigError(
            f"Each band needs a frequency of its own. Received: num_mels={spec.num_mels} from {spec.f_min:g} to "
            f"{spec.highest:g} Hz. Use fewer bands, or a wider range."
        )


def survey(source: Source, indices: NDArray[np.int64], max_seconds: float, *, skip: bool) -> list[SoundHeader]:
    """The headers of the recordings."""
    found, faults = [], []
    for index in track(surveyed(indices).tolist(), "reading headers"):
        try:
            record = source.read(index)
            where = f"{source.name}: {record.key}"
            if not isinstance(record.payload, bytes):
                raise DataError(f"A sound is an encoded file. Received: {type(record.payload).__name__}, for {where}.")
            found.append(sound_header(record.payload, where, max_seconds))
        except DataError as error:
            faults.append(str(error))
    if faults and (not skip or not found):
        raise all_faults(faults)
    return found
