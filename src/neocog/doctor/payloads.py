"""Faults of a single payload by its kind of data: signals, texts and boards here, images and sounds in their files."""

import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Modality, Payload
from neocog.doctor import kinds
from neocog.doctor.facts import Facts, digest
from neocog.doctor.images import examine_array, examine_encoded
from neocog.doctor.sounds import examine_sound
from neocog.errors import DataError
from neocog.modalities.table import MODALITIES
from neocog.modalities.text.tokens import text_of

__all__ = ["examine_payload", "examine_signal", "examine_text"]

REPLACEMENT = "\ufffd"
SPACES = "\t\n\r\f\v"


def examine_payload(payload: Payload, key: str, modality: Modality, max_pixels: int) -> Facts:
    """Look at a payload; at numbers of any other kind as at signals. Raises DataError if it is of another type."""
    examine = EXAMINERS.get(modality)
    if examine is not None and (facts := examine(payload, key, max_pixels)) is not None:
        return facts
    if not isinstance(payload, np.ndarray):
        raise DataError(f"{key} should be a {MODALITIES[modality].noun}.", received=type(payload).__name__)
    return examine_signal(payload)


def examine_signal(signal: NDArray[Any]) -> Facts:
    """Look at one signal, (channels, length), for NaN and infinite values, and for channels that are constant."""
    if not signal.size:
        return Facts().fault(kinds.SIGNAL_EMPTY)
    channels = signal.reshape(1, -1) if signal.ndim < 2 else signal.reshape(len(signal), -1)
    missing = np.isnan(channels)
    if missing.all():
        return Facts().fault(kinds.ALL_NAN)
    facts = Facts(size=(*channels.shape, 0), digest=digest(signal, (signal.dtype.str, signal.shape)))
    if infinite := np.count_nonzero(np.isinf(channels)):
        facts.fault(kinds.INFINITE, f"{infinite:,} of {channels.size:,} values")
    empty = np.flatnonzero(missing.all(axis=1)).tolist()
    if empty:
        facts.fault(kinds.CHANNEL_NAN, f"channel {', '.join(map(str, empty))}")
    elif missing.any():
        facts.fault(kinds.PARTLY_NAN, f"{np.count_nonzero(missing):,} of {channels.size:,} values")
    known = {k: channels[k, ~missing[k]] for k in range(len(channels)) if k not in empty}
    flat = [k for k, values in known.items() if values.min() == values.max()]
    if len(flat) == len(known):
        facts.fault(kinds.CONSTANT_SIGNAL)
    elif flat:
        facts.fault(kinds.DEAD_CHANNEL, f"channel {', '.join(map(str, flat))}")
    return facts


def examine_text(text: str) -> Facts:
    if not text.strip():
        return Facts().fault(kinds.TEXT_EMPTY)
    whole = digest(text.encode(errors="surrogatepass"))
    facts = Facts(size=(len(text), 0, 0), digest=whole, loose=loose_digest(text))
    if not any(c.isalnum() for c in text):
        facts.fault(kinds.TEXT_NO_LETTERS)
    if odd := sorted({c for c in text if is_broken(c)}):
        facts.fault(kinds.TEXT_BROKEN, " ".join(f"U+{ord(c):04X}" for c in odd[:5]))
    return facts


def is_broken(character: str) -> bool:
    """Whether a character replaces a lost one: the replacement mark, controls, halves of surrogate pairs."""
    if character.isprintable():
        return character == REPLACEMENT
    return character not in SPACES and unicodedata.category(character) in ("Cc", "Cs")


def loose_digest(text: str) -> int:
    """64 bits of letters and digits alone, whatever their case; 0 if there are none.

    >>> loose_digest("What a film!") == loose_digest("what  a film ...")
    True
    """
    letters = "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
    return digest(letters.encode(errors="surrogatepass")) if letters else 0


def examine_image(payload: Payload, key: str, max_pixels: int) -> Facts:
    return examine_encoded(payload, key, max_pixels) if isinstance(payload, bytes) else examine_array(payload)


def examine_board(payload: Payload, _: str, __: int) -> Facts:
    """A board's shape; equal positions are not a fault, so no digest is made."""
    if isinstance(payload, np.ndarray) and payload.ndim == 3:
        planes, height, width = payload.shape
        return Facts(size=(height, width, planes))
    return Facts(size=(1, 1, 1))


EXAMINERS: dict[Modality, Callable[[Payload, str, int], Facts | None]] = {
    "image": examine_image,
    "audio": lambda payload, key, _: examine_sound(payload, key) if isinstance(payload, bytes) else None,
    "text": lambda payload, key, _: examine_text(text_of(payload, key)),
    "board": examine_board,
}
"""By payload, key, and limit of pixels; None: the payload is an array of numbers."""
