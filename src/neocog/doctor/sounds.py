"""Faults of a single recording."""

import hashlib
import io
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from neocog.doctor import kinds
from neocog.doctor.facts import Facts
from neocog.doctor.kinds import Kind
from neocog.modalities.audio.flac import LENGTH
from neocog.modalities.audio.waveform import decodable, open_sound

__all__ = ["examine_sound"]

BLOCK = 2**16  # frames that are decoded at once, whatever a header promises
MAX_SECONDS = 600.0  # as in training, unless told otherwise
SILENCE = 1e-3  # of full scale: -60 dB
FULL = 0.9999  # of full scale; the largest 16-bit sample is 0.99997
CLIPPED_RUN = 3  # samples at full scale that follow each other; a loud sine has fewer
CLIPPED_SHARE = 1e-3


def examine_sound(payload: bytes, key: str) -> Facts:
    """Decode a sound to its end and look how loud it is."""
    if not payload:
        return Facts().fault(kinds.ZERO_BYTES)
    try:
        file, header = open_sound(payload, key, MAX_SECONDS)
        with file:
            heard = listen(file, header.num_samples)
    except Exception as error:  # our own refusals, libsndfile's, and whatever a damaged header leads to
        return Facts().fault(explain_refusal(payload), str(error))
    if heard.frames < header.num_samples:
        promised = f"{heard.frames:,} of the {header.num_samples:,} samples that it promises"
        return Facts().fault(kinds.SOUND_UNREADABLE, promised)
    rate, channels = header.sample_rate, header.channels
    facts = Facts(size=(channels, heard.frames, rate))
    if not header.states_length:
        facts.fault(kinds.SOUND_STREAMED)
    if not heard.finite:
        facts.fault(kinds.SOUND_INFINITE)
    elif heard.peak < SILENCE:
        return facts.fault(kinds.SILENT)  # all silence is alike
    elif heard.clipped > CLIPPED_SHARE * heard.frames * channels:
        facts.fault(kinds.CLIPPED, f"{heard.clipped / heard.frames / channels:.1%} of the samples")
    facts.digest = heard.digest(rate)
    return facts


def explain_refusal(payload: bytes) -> Kind:
    """Why a sound was refused."""
    try:
        about = soundfile.info(io.BytesIO(decodable(payload)))
    except Exception:  # as above
        return kinds.SOUND_UNREADABLE
    if not about.frames:
        return kinds.SOUND_EMPTY
    # libsndfile gives more than LENGTH frames if the header of a FLAC states none.
    too_long = about.frames <= LENGTH and about.duration > MAX_SECONDS
    return kinds.SOUND_LONG if too_long else kinds.SOUND_UNREADABLE


@dataclass(slots=True)
class Heard:
    """Statistics of a recording so far."""

    frames: int = 0
    peak: float = 0.0
    clipped: int = 0
    finite: bool = True
    hash: Any = field(default_factory=partial(hashlib.blake2b, digest_size=8))

    def digest(self, about: object) -> int:
        self.hash.update(repr(about).encode())
        return int.from_bytes(self.hash.digest(), "little") or 1


def listen(file: soundfile.SoundFile, frames: int) -> Heard:
    """Decode that many frames, or as many as there are."""
    heard = Heard()
    while len(block := file.read(min(frames - heard.frames, BLOCK), dtype="float32", always_2d=True)):
        heard.frames += len(block)
        heard.hash.update(np.ascontiguousarray(block).data)
        heard.finite = heard.finite and bool(np.isfinite(block).all())
        heard.peak = max(heard.peak, float(np.abs(block).max(initial=0)))
        heard.clipped += at_full_scale(block)
    return heard


def at_full_scale(block: NDArray[np.float32]) -> int:
    """The number of samples at full scale in a row of at least three; (frames, channels)."""
    full = np.abs(block) >= FULL
    if not full.any():
        return 0
    padded = np.pad(full, ((1, 1), (0, 0))).astype(np.int8).T.reshape(-1)  # channel after channel, apart
    edges = np.diff(padded)
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return int(lengths[lengths >= CLIPPED_RUN].sum())
