"""Facts of each examined record: the few numbers by which the whole set is compared."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.doctor.kinds import Kind

__all__ = ["THUMB", "Columns", "Facts", "digest", "full_digest"]

THUMB = 16
"""Sides of the small grey image that is kept of each."""
Thumb = NDArray[np.int8]


@dataclass(slots=True)
class Facts:
    """One record's."""

    faults: list[tuple[Kind, str]] = field(default_factory=list)
    """The faults of this record alone, each with details."""
    digest: int = 0
    """64 bits of what it holds; 0 if that could not be told, or equal ones mean nothing."""
    size: tuple[int, int, int] = (0, 0, 0)
    """An image's height, width, channels; a signal's channels and length; a sound's also its rate; a text's length."""
    depth: int = 0
    """Bits of an image's values."""
    loose: int = 0
    """As `digest`, of a text's letters and digits alone."""
    thumb: Thumb | None = None
    """(16, 16), around 0, of one contrast; None if the image has hardly any."""
    samples: NDArray[Any] | None = None
    """Pixels of which the thumb will be made; (1, 16a, 16b, C)."""
    pages: int = 1
    """How many images an image's file holds."""
    labels: tuple[int, ...] = ()
    """The classes in a mask, or of the objects; each once."""

    def fault(self, kind: Kind, detail: str = "") -> "Facts":
        self.faults.append((kind, detail))
        return self


class Columns:
    """All records' facts as arrays, a row for each record: 290 bytes for an image, 34 for anything else."""

    def __init__(self, num_records: int, *, thumbs: bool) -> None:
        self.examined = np.zeros(num_records, bool)
        self.readable = np.zeros(num_records, bool)
        self.digests = np.zeros(num_records, np.uint64)
        self.loose = np.zeros(num_records, np.uint64)
        """Digests of what texts have in common that differ in case, spaces and punctuation alone."""
        self.sizes = np.zeros((num_records, 3), np.int32)
        self.depths = np.zeros(num_records, np.uint8)
        self.thumbs = np.zeros((num_records if thumbs else 0, THUMB, THUMB), np.int8)
        self.has_thumb = np.zeros(num_records, bool)
        self.labels: dict[int, tuple[int, ...]] = {}
        """The classes in each record's mask, or of its objects, if there are any."""
        self.pages: dict[int, int] = {}
        """How many images each file holds that holds several."""

    def put(self, index: int, facts: Facts) -> None:
        self.examined[index] = True
        self.readable[index] = facts.size != (0, 0, 0)
        self.digests[index], self.loose[index] = facts.digest, facts.loose
        self.sizes[index], self.depths[index] = facts.size, facts.depth
        if facts.thumb is not None:
            self.thumbs[index], self.has_thumb[index] = facts.thumb, True
        if facts.labels:
            self.labels[index] = facts.labels
        if facts.pages > 1:
            self.pages[index] = facts.pages


def digest(content: bytes | NDArray[Any], about: object = "") -> int:
    """64 bits of BLAKE2b over content and whatever else belongs to it, such as a shape. Never 0."""
    found = hashlib.blake2b(repr(about).encode(errors="backslashreplace"), digest_size=8)
    found.update(content if isinstance(content, bytes) else np.ascontiguousarray(content).data)
    return int.from_bytes(found.digest(), "little") or 1


def full_digest(pixels: NDArray[Any]) -> bytes:
    """256 bits of BLAKE2b over an array's values, shape and type."""
    found = hashlib.blake2b(f"{pixels.dtype}{pixels.shape}".encode(), digest_size=32)
    found.update(np.ascontiguousarray(pixels).data)
    return found.digest()
