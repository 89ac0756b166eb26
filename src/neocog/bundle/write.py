"""Writing a trained network as a bundle."""

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
from neocog.bundle.format import FORMAT, decode_golden, encode_golden
from neocog.bundle.predictor import Predictor
from neocog.bundle.seal import write_sealed
from neocog.dataset.record import Payload

__all__ = ["environment", "write_bundle"]


def write_bundle(
    path: Path, model: nn.Module, predictor: Predictor, golden: Sequence[Payload], about: dict[str, Any]
) -> None:
    """Write weights, manifest and golden samples as one sealed file.

    `about` must hold `model` (name, num_classes, in_channels, options); the rest of it is stored as it is.
    """
    inputs = [encode_golden(payload) for payload in golden]
    logits = predictor.logits(torch.stack([predictor.preprocess.decode(decode_golden(content)) for content in inputs]))
    learned = predictor.task.learned
    samples = {
        f"input_{i}": torch.frombuffer(bytearray(content), dtype=torch.uint8) for i, content in enumerate(inputs)
    }
    manifest = {
        "format": FORMAT,
        "neocog": __version__,
        "task": predictor.task.name,
        "modality": predictor.preprocess.modality,
        "classes": list(predictor.classes),
        **({"learned": learned} if learned else {}),
        "preprocess": predictor.preprocess.to_json(),
        "environment": environment(),
        **about,
    }
    members = {
        "manifest.json": json.dumps(manifest, indent=1, ensure_ascii=False).encode(),
        "weights.safetensors": save({key: plain(value) for key, value in model.state_dict().items()}),
        "golden.safetensors": save({**samples, "logits": predictor.task.thin(logits)}),
    }
    write_sealed(path, members)


def plain(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous().clone()


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
