"""Sealing a trained network."""

import io
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from neocog import __version__
from neocog.bundle.predictor import Predictor
from neocog.bundle.seal import write_sealed
from neocog.data import Payload
from neocog.dataset.file_types import FILE_TYPES

__all__ = ["FORMAT", "decode_golden", "environment", "write_bundle"]

FORMAT = 1
TEXT = b"text\0"  # before a golden sample that is a text


def write_bundle(
    path: Path, model: nn.Module, predictor: Predictor, golden: Sequence[Payload], about: dict[str, Any]
) -> None:
    """Write weights, manifest and golden samples as one sealed file.

    `about` must hold `model` (name, num_classes, in_channels, options); what else it holds is kept as it is.
    """
    inputs = [encode_golden(payload) for payload in golden]
    logits = predictor.logits(torch.stack([predictor.preprocess.decode(decode_golden(content)) for content in inputs]))
    samples = {
        f"input_{i}": torch.frombuffer(bytearray(content), dtype=torch.uint8) for i, content in enumerate(inputs)
    }
    manifest = {
        "format": FORMAT,
        "neocog": __version__,
        "task": "next move" if predictor.preprocess.modality == "board" else "classification",
        "modality": predictor.preprocess.modality,
        "classes": list(predictor.classes),
        "preprocess": predictor.preprocess.to_json(),
        "environment": environment(),
        **about,
    }
    members = {
        "manifest.json": json.dumps(manifest, indent=1, ensure_ascii=False).encode(),
        "weights.safetensors": save({key: plain(value) for key, value in model.state_dict().items()}),
        "golden.safetensors": save({**samples, "logits": logits}),
    }
    write_sealed(path, members)


def plain(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous().clone()


def encode_golden(payload: Payload) -> bytes:
    """A record's bytes as they are; a text marked as such; an array as a .npy file, exactly."""
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
    return np.load(io.BytesIO(content), allow_pickle=False) if content.startswith(FILE_TYPES["NPY"].starts) else content


def environment() -> dict[str, str]:
    """The versions on which results can depend."""
    return {
        "neocog": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "threads": str(torch.get_num_threads()),
    }
