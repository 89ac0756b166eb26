"""From an encoded sound to its waveform, with every way in which a file can be wrong named."""

import io
import math
import struct
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from neocog.errors import DataError

__all__ = ["RATES", "SoundHeader", "resample", "sound_header", "sound_waveform"]

FORMATS = ("WAV", "WAVEX", "FLAC", "OGG")
RATES = (1000, 384_000)
"""Samples per second, lowest and highest that are read; the filters for other rates could grow without bound."""
MAX_CHANNELS = 64
BLOCK = 2**16  # samples that are decoded at once, so that a header that lies never makes us reserve its length
STREAMED = 0xFFFFFFFF  # what stands for a WAV file's length where it was not known when writing began


@dataclass(frozen=True, slots=True)
class SoundHeader:
    """What a sound says of itself before it is decoded."""

    sample_rate: int
    num_samples: int
    channels: int

    @property
    def seconds(self) -> float:
        return self.num_samples / self.sample_rate


def sound_header(payload: bytes, where: str, max_seconds: float) -> SoundHeader:
    """Read a sound's header. Raises DataError as `sound_waveform` does, as far as a header can tell."""
    with open_sound(payload, where) as sound:
        return check_header(sound, payload, where, max_seconds)


def sound_waveform(payload: bytes, where: str, max_seconds: float) -> tuple[NDArray[np.float32], int]:
    """Decode a sound to the mean of its channels, -1 to 1; (samples,), and its rate in samples per second.

    Raises DataError for a file that is empty, no sound, truncated, damaged, or longer than `max_seconds`.
    """
    with open_sound(payload, where) as sound:
        header = check_header(sound, payload, where, max_seconds)
        blocks, left = [], header.num_samples
        try:
            while left:
                block = sound.read(min(left, BLOCK), dtype="float32", always_2d=True)
                if not len(block):
                    break
                blocks.append(block.mean(axis=1))
                left -= len(block)
        except Exception as error:  # decoders of damaged bytes raise more than their own errors
            raise damaged(where, str(error)) from error
    if left:
        raise damaged(where, f"its header promises {header.num_samples:,} samples, {left:,} more than there are")
    waveform = np.concatenate(blocks)
    if not np.isfinite(waveform).all():
        raise damaged(where, "it holds infinite values, or values that are no numbers")
    return waveform, header.sample_rate


def resample(waveform: NDArray[np.float32], rate: int, target: int) -> NDArray[np.float32]:
    """A waveform at another rate, by SciPy's polyphase filter; (samples,) -> (ceil(samples * target / rate),)."""
    if rate == target:
        return waveform
    from scipy.signal import resample_poly  # takes as long to import as all the rest of this package

    common = math.gcd(rate, target)
    return np.asarray(resample_poly(waveform, target // common, rate // common), np.float32)


def open_sound(payload: bytes, where: str) -> soundfile.SoundFile:
    try:
        sound = soundfile.SoundFile(io.BytesIO(payload))
    except Exception as error:  # as above
        raise DataError(
            f"A sound is a WAV, FLAC or OGG file. {where} is none, or is damaged: {plain(error)}. Convert or remove it."
        ) from error
    if sound.format not in FORMATS:
        found = sound.format
        sound.close()
        raise DataError(f"A sound is a WAV, FLAC or OGG file. {where} is {found}. Convert it.")
    return sound


def check_header(sound: soundfile.SoundFile, payload: bytes, where: str, max_seconds: float) -> SoundHeader:
    """Raises DataError for what is cut off, empty, too long, or outside of the rates that are read."""
    lost = missing_bytes(payload)
    if lost:
        raise damaged(where, f"it ends {lost:,} bytes before the end that it promises")
    header = SoundHeader(sound.samplerate, sound.frames, sound.channels)
    if header.num_samples < 1:
        raise DataError(f"A sound has at least one sample. {where} has none. Replace or remove it.")
    if not RATES[0] <= header.sample_rate <= RATES[1] or header.channels > MAX_CHANNELS:
        raise DataError(
            f"Sounds have {RATES[0]:,} to {RATES[1]:,} samples per second and at most {MAX_CHANNELS} channels. "
            f"Received: {header.sample_rate:,} and {header.channels}, for {where}. Convert it."
        )
    if header.seconds > max_seconds:
        raise DataError(
            f"A sound has at most {max_seconds:g} seconds. {where} has {header.seconds:,.0f}. Cut it, or raise "
            "--sound.max_seconds in training."
        )
    return header


def missing_bytes(payload: bytes) -> int:
    """By how many bytes a file is shorter than it says: the library reads a cut-off WAV or OGG without a word."""
    try:
        if payload[:4] == b"RIFF":
            return missing_of_wav(payload)
        if payload[:4] == b"OggS":
            return missing_of_ogg(payload)
    except (struct.error, IndexError):
        return 0  # so little is there that the library refuses it
    return 0


def missing_of_wav(payload: bytes) -> int:
    """Chunks have a name, a length and, where the length is odd, one byte more. Source: IBM & Microsoft 1991, RIFF."""
    place = 12
    while True:
        name, size = struct.unpack_from("<4sI", payload, place)
        if name == b"data":
            return 0 if size == STREAMED else max(0, place + 8 + size - len(payload))
        place += 8 + size + size % 2


def missing_of_ogg(payload: bytes) -> int:
    """Each page ends with the segments whose lengths its header lists. Source: RFC 3533, section 6."""
    place = 0
    while payload[place : place + 4] == b"OggS":
        segments = payload[place + 26]
        place += 27 + segments + sum(payload[place + 27 : place + 27 + segments])
    return max(0, place - len(payload))


def damaged(where: str, reason: str) -> DataError:
    return DataError(
        f"A sound must decode to its last sample. {where} is truncated or damaged: {reason}. Replace or remove it."
    )


def plain(error: Exception) -> str:
    """The library's reason alone, without the name of our buffer."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".") or type(error).__name__
