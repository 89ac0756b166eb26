"""A run's state on disk: one safetensors file, written whole or not at all, never pickle.

Its header carries the state's numbers as JSON, what the run was trained on, and a CRC-32 over all tensors.
"""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from neocog.errors import CheckpointError, some
from neocog.files import write_whole
from neocog.training.state import Training

__all__ = ["Checkpoint", "load_checkpoint", "read_checkpoint", "save_checkpoint"]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint's content: tensors by name, the state, and what was said when it was written."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    about: dict[str, Any]


def save_checkpoint(path: Path, training: Training, about: dict[str, Any]) -> None:
    """Write the whole training state. Raises StorageError where it can't; the file before is then intact."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in training.tensors().items()}
    meta = {"format": FORMAT, "state": training.state.to_json(), "about": about}
    meta["crc32"] = checksum(tensors, meta)
    write_whole(path, save(tensors, {"neocog": json.dumps(meta)}))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check it. Raises CheckpointError where it is damaged or something else."""
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})["neocog"])
            crc, state, about = meta.pop("crc32"), meta["state"], meta["about"]
            if meta["format"] != FORMAT:
                raise ValueError(f"its format is {meta['format']}, not {FORMAT}")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}.") from None
    except (SafetensorError, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(
            f"A checkpoint is one whole safetensors file of Neocog. {path} is truncated or something else: {error}. "
            "Remove it, and the run resumes from the checkpoint before."
        ) from error
    if checksum(tensors, meta) != crc:
        raise CheckpointError(
            f"{path} is damaged: its CRC-32 differs. Remove it, and the run resumes from the checkpoint before."
        )
    return Checkpoint(tensors, state, about)


def load_checkpoint(path: Path, training: Training) -> dict[str, Any]:
    """Restore a training's state from a file and return what the file says about itself.

    Raises CheckpointError where the file is damaged, or belongs to another network.
    """
    found = read_checkpoint(path)
    # The optimiser's slots appear with its first step, so only the network's own tensors must be there.
    own = {key: value for key, value in training.tensors().items() if not key.startswith("optimizer/")}
    theirs = {key: value for key, value in found.tensors.items() if not key.startswith("optimizer/")}
    missing, foreign = sorted(own.keys() - theirs.keys()), sorted(theirs.keys() - own.keys())
    reshaped = [
        f"{key} {tuple(theirs[key].shape)} instead of {tuple(own[key].shape)}"
        for key in sorted(own.keys() & theirs.keys())
        if own[key].shape != theirs[key].shape
    ]
    if missing or foreign or reshaped:
        parts = {"missing": missing, "unexpected": foreign, "of another shape": reshaped}
        details = "; ".join(f"{kind}: {some(keys)}" for kind, keys in parts.items() if keys)
        raise CheckpointError(f"{path} belongs to another network. {details}. Resume the run that it came from.")
    training.restore(found.tensors, found.state)
    return found.about


def checksum(tensors: dict[str, Tensor], meta: dict[str, Any]) -> int:
    """CRC-32 over the state and all values, in the order of their names."""
    crc = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
    for key in sorted(tensors):
        flat = tensors[key].reshape(-1).view(torch.uint8) if tensors[key].numel() else torch.empty(0, dtype=torch.uint8)
        values: NDArray[np.uint8] = flat.numpy()
        crc = zlib.crc32(values.data, zlib.crc32(key.encode(), crc))
    return crc
