"""Decodes an audio file to its waveform, and names every fault that a file can have."""

import io
import math
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.modalities.audio import flac, mp3
from neocog.modalities.audio.wav import find_samples, with_plain_header
from neocog.modalities.image.unreadable import not_the_file

__all__ = ["LENGTH_UNKNOWN", "RATES", "decodable", "open_sound", "resample", "sound_header", "sound_waveform"]

FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3")
KIND = "Audio must be a WAV, FLAC, OGG or MP3 file."
RATES = (1000, 384_000)
"""Samples per second, lowest and highest that are read; the filters for other rates could grow without bound."""
MAX_CHANNELS = 64
BLOCK = 2**16  # samples that are decoded at once, so that a header that lies never makes us reserve its length
LENGTH_UNKNOWN = "{n} sound(|s) (does|do) not state (its|their) length in the header: read to the end of the file"
"""The notice of training and `neocog check` on such sounds, for `neocog.errors.agree`."""


@dataclass(frozen=True, slots=True)
class SoundHeader:
    """The facts in a sound's header."""

    sample_rate: int
    num_samples: int
    channels: int
    states_length: bool = True
    """Whether the header tells the length; otherwise it was counted from the end of the file."""

    @property
    def seconds(self) -> float:
        return self.num_samples / self.sample_rate


def sound_header(payload: bytes, where: str, max_seconds: float) -> SoundHeader:
    """Read a sound's header. Raises DataError as `sound_waveform` does, as far as a header can tell."""
    sound, header = open_sound(payload, where, max_seconds)
    sound.close()
    return header


def sound_waveform(payload: bytes, where: str, max_seconds: float) -> tuple[NDArray[np.float32], int]:
    """Decode a sound to the mean of its channels, -1 to 1; (samples,), and its rate in samples per second.

    Raises DataError for a file that is empty, not audio, truncated, damaged, or longer than `max_seconds`.
    """
    sound, header = open_sound(payload, where, max_seconds)
    with sound:
        blocks, left = [], header.num_samples
        # soundfile seeks after each read, which is inexact in MP3: its frames depend on earlier ones.
        most = left if sound.format == "MP3" else BLOCK
        try:
            while left:
                block = sound.read(min(left, most), dtype="float32", always_2d=True)
                if not len(block):
                    break
                blocks.append(block.mean(axis=1))
                left -= len(block)
        except Exception as error:  # as below
            raise damaged(where, str(error)) from error
    if left:
        raise damaged(where, f"its header promises {header.num_samples:,} samples, {left:,} more than there are")
    waveform = np.concatenate(blocks)
    if not np.isfinite(waveform).all():
        raise damaged(where, "it holds infinite values, or values that are not numbers")
    return waveform, header.sample_rate


def resample(waveform: NDArray[np.float32], rate: int, target: int) -> NDArray[np.float32]:
    """A waveform at another rate, by SciPy's polyphase filter; (samples,) -> (ceil(samples * target / rate),)."""
    if rate == target:
        return waveform
    from scipy.signal import resample_poly  # takes as long to import as all the rest of this package

    common = math.gcd(rate, target)
    return np.asarray(resample_poly(waveform, target // common, rate // common), np.float32)


def open_sound(payload: bytes, where: str, max_seconds: float) -> tuple[soundfile.SoundFile, SoundHeader]:
    """A sound ready to be decoded, and its header. A file that does not state its length is read to its end.

    Raises DataError for a file that is truncated, empty, too long, or outside of the rates that are read.
    """
    samples = find_samples(payload)
    lost = samples.missing(payload) if samples else missing_of_ogg(payload)
    try:
        sound = soundfile.SoundFile(io.BytesIO(decodable(payload)))
    except Exception as error:  # decoders of damaged bytes raise more than their own errors
        # The library's reason alone, without the name of our buffer.
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".") or type(error).__name__
        known = not_the_file(payload)
        what, fix = known or (f"a file of another kind, or damaged: {reason}", "Convert or remove it.")
        raise DataError(KIND, received=what, where=where, fix=fix) from error
    try:
        if sound.format not in FORMATS:
            raise DataError(KIND, received=sound.format, where=where, fix="Convert it.")
        if lost:
            raise damaged(where, f"it ends {lost:,} bytes before the end that it promises")
        if sound.format == "MP3" and sound.frames > mp3.FRAME * mp3.count_frames(payload):
            raise damaged(where, f"its header promises {sound.frames:,} samples, more than its frames hold")
        found = flac.states_length(payload) and (sound.format != "MP3" or mp3.states_length(payload))
        stated = samples.num_bytes is not None if samples else found
        header = SoundHeader(sound.samplerate, sound.frames, sound.channels, stated)
        check_header(header, where, max_seconds)
    except DataError:
        sound.close()
        raise
    return sound, header


def decodable(payload: bytes) -> bytes:
    """A file as libsndfile reads it: with its length in the header, and as plain WAV if it is RF64 or BW64."""
    if payload.startswith(b"fLaC"):
        return flac.with_length(payload)
    return with_plain_header(mp3.with_length(payload))


def check_header(header: SoundHeader, where: str, max_seconds: float) -> None:
    """Raises DataError for a sound that is empty, too long, or outside of the rates that are read."""
    if header.num_samples > flac.LENGTH:  # libsndfile's value if the header does not state the length
        raise damaged(where, "its header does not state its length, and its last frame is not whole")
    if header.num_samples < 1:
        fix = "Replace or remove it."
        raise DataError("A sound has at least one sample.", received="none", where=where, fix=fix)
    if not RATES[0] <= header.sample_rate <= RATES[1] or header.channels > MAX_CHANNELS:
        rule = f"Sounds have {RATES[0]:,} to {RATES[1]:,} samples per second and at most {MAX_CHANNELS} channels."
        received = f"{header.sample_rate:,} and {header.channels}"
        raise DataError(rule, received=received, where=where, fix="Convert it.")
    if header.seconds > max_seconds:
        rule, fix = f"A sound has at most {max_seconds:g} seconds.", "Cut it, or raise --audio.max_seconds in training."
        raise DataError(rule, received=f"{header.seconds:,.0f}", where=where, fix=fix)


def missing_of_ogg(payload: bytes) -> int:
    """The number of bytes that an OGG file lacks; the library reads a truncated one without a warning.

    Each page ends with the segments whose lengths its header lists. Source: RFC 3533, section 6.
    """
    place = 0
    while payload[place : place + 4] == b"OggS" and len(payload) > place + 26:
        segments = payload[place + 26]
        place += 27 + segments + sum(payload[place + 27 : place + 27 + segments])
    return max(0, place - len(payload))


def damaged(where: str, reason: str) -> DataError:
    return DataError(f"{where} is truncated or damaged: {reason}.", fix="Replace or remove it.")
