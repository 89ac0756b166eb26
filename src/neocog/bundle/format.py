"""The file format of a bundle: its manifest and its golden samples, for the writer and the reader.

A bundle is a sealed zip (`seal`) with three members: `manifest.json` (this module's `FORMAT`, task, classes, network,
preprocessing, data, evaluation), `weights.safetensors`, and `golden.safetensors` with samples and their logits.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neocog.bundle.seal import read_sealed
from neocog.dataset.file_types import FILE_TYPES
from neocog.dataset.record import Payload
from neocog.errors import BundleError

__all__ = ["FORMAT", "decode_golden", "encode_golden", "parse_manifest", "read_manifest", "task_of"]

FORMAT = 1
TEXT = b"text\0"  # before a golden sample that is a text
(NPY,) = FILE_TYPES["NPY"].starts


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a bundle whose seal is intact. Raises BundleError as `load` does."""
    return parse_manifest(read_sealed(path), path)


def parse_manifest(members: Mapping[str, bytes], path: Path) -> dict[str, Any]:
    """The manifest among a bundle's members. Raises BundleError if it can't be read, or is of another format."""
    try:
        manifest = json.loads(members["manifest.json"])
        if not isinstance(manifest, dict):
            raise ValueError("its manifest is not a mapping")
    except ValueError as error:
        raise BundleError(f"{path} is not a valid bundle: {error}.") from error
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"This version of Neocog reads bundles of format {FORMAT}.",
            received=f"format {manifest.get('format')}, written by Neocog {manifest.get('neocog')}",
            where=str(path),
            fix="Update Neocog.",
        )
    return manifest


def task_of(manifest: Mapping[str, Any]) -> str:
    """The name of the task; the first bundles did not store it and were all for classification."""
    return str(manifest.get("task", "classification"))


def encode_golden(payload: Payload) -> bytes:
    """A record's bytes as they are; a text with a prefix; an array as a .npy file, exactly."""
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, str):
        return TEXT + payload.encode(errors="surrogatepass")
    buffer = io.BytesIO()
    np.save(buffer, payload, allow_pickle=False)
    return buffer.getvalue()


def decode_golden(content: bytes) -> Payload:
    """The inverse of `encode_golden`."""
    if content.startswith(TEXT):
        return content.removeprefix(TEXT).decode(errors="surrogatepass")
    return np.load(io.BytesIO(content), allow_pickle=False) if content.startswith(NPY) else content
