"""64 bits that tell what a record holds, for finding equal ones."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["digest", "full_digest"]


def digest(content: bytes | NDArray[Any], about: object = "") -> int:
    """64 bits of BLAKE2b over content and what else belongs to it, such as a shape. Never 0."""
    found = hashlib.blake2b(repr(about).encode(errors="backslashreplace"), digest_size=8)
    found.update(content if isinstance(content, bytes) else np.ascontiguousarray(content).data)
    return int.from_bytes(found.digest(), "little") or 1


def full_digest(pixels: NDArray[Any]) -> bytes:
    """256 bits of BLAKE2b over an array's values, shape and type."""
    found = hashlib.blake2b(f"{pixels.dtype}{pixels.shape}".encode(), digest_size=32)
    found.update(np.ascontiguousarray(pixels).data)
    return found.digest()
