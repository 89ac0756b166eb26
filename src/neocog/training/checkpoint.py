"""A run's state on disk: one safetensors file, written whole or not at all, never pickle.

Its header carries the state's numbers as JSON, what the run was trained on, and a CRC-32 over all tensors.
torch.distributed.checkpoint is not used, since the metadata of its folders is a pickle.
"""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError, safe_open
from torch import Tensor

from neocog.errors import CheckpointError, some
from neocog.files import whole_file
from neocog.training.state import Training
from neocog.training.tensor_file import raw, write_tensors

__all__ = [
    "Checkpoint",
    "DamagedCheckpointError",
    "load_checkpoint",
    "make_checkpoint",
    "read_checkpoint",
    "read_checkpoint_header",
    "read_state",
    "restore_checkpoint",
    "save_checkpoint",
    "stream_checkpoint",
]

FORMAT = 1
NETWORK = (
    "model/",
    "average/",
)  # tensors that must be there; others appear with the first step or depend on the machine


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint's content: tensors by name, the state, and the facts about it that were written with it."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    about: dict[str, Any]


class DamagedCheckpointError(CheckpointError):
    """A file that is not a complete checkpoint; `verdict` says why."""

    def __init__(self, path: Path, verdict: str) -> None:
        self.path, self.verdict = path, verdict
        super().__init__(
            f"A checkpoint must be one complete safetensors file of Neocog. {path} {verdict}.", fix="Use another one."
        )


def make_checkpoint(training: Training, about: dict[str, Any]) -> Checkpoint:
    """A checkpoint of the current state. Its tensors are the training's own and change as it continues."""
    said = json.loads(json.dumps({"state": training.state.to_json(), "about": about}))
    tensors = {key: value.detach() for key, value in training.tensors().items()}
    return Checkpoint(tensors, said["state"], said["about"])


def save_checkpoint(path: Path, training: Training, about: dict[str, Any]) -> None:
    """Write the whole training state. Raises StorageError if that fails; the previous file is then intact."""
    with whole_file(path) as file:
        stream_checkpoint(file, make_checkpoint(training, about))


def stream_checkpoint(file: BinaryIO, checkpoint: Checkpoint) -> None:
    """Write a checkpoint to an open file, straight from the memory of its tensors."""
    meta = {"format": FORMAT, "state": checkpoint.state, "about": checkpoint.about}
    meta["crc32"] = checksum(checkpoint.tensors, meta)
    write_tensors(file, checkpoint.tensors, {"neocog": json.dumps(meta)})


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check it.

    Raises DamagedCheckpointError if it is incomplete, CheckpointError if it is missing or of a later format.
    """
    meta, tensors = read_file(path, with_tensors=True)
    if checksum(tensors, {key: value for key, value in meta.items() if key != "crc32"}) != meta["crc32"]:
        raise DamagedCheckpointError(path, "is damaged: its CRC-32 differs")
    return Checkpoint(tensors, meta["state"], meta["about"])


def read_state(path: Path) -> dict[str, Any]:
    """The state in a checkpoint's header alone, unchecked. Raises as `read_checkpoint` does."""
    state: dict[str, Any] = read_file(path, with_tensors=False)[0]["state"]
    return state


def read_checkpoint_header(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state and the facts about it in a checkpoint's header, unchecked. Raises as `read_checkpoint` does."""
    meta = read_file(path, with_tensors=False)[0]
    return meta["state"], meta["about"]


def read_file(path: Path, *, with_tensors: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header, and the tensors."""
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})["neocog"])
            known = meta["format"] == FORMAT
            if known and not {"crc32", "state", "about"} <= meta.keys():
                raise ValueError("its header is incomplete")
            keys = file.keys() if with_tensors and known else ()
            tensors = {key: file.get_tensor(key) for key in keys}
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}.") from None
    except (SafetensorError, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise DamagedCheckpointError(path, f"is truncated or not a checkpoint: {error}") from error
    if not known:
        raise CheckpointError(
            f"This version of Neocog reads checkpoints of format {FORMAT}.",
            received=f"format {meta['format']}",
            where=str(path),
            fix="Use the version that wrote it, or a later one.",
        )
    return meta, tensors


def load_checkpoint(path: Path, training: Training) -> dict[str, Any]:
    """Restore a training's state from a file and return the facts that were written with it.

    Raises CheckpointError if the file is damaged, or belongs to another network.
    """
    found = read_checkpoint(path)
    restore_checkpoint(found, training, path)
    return found.about


def restore_checkpoint(found: Checkpoint, training: Training, path: Path) -> None:
    """Bring a training to the state that was read from `path`.

    Raises CheckpointError if it belongs to another network.
    """
    own = {key: value for key, value in training.tensors().items() if key.startswith(NETWORK)}
    theirs = {key: value for key, value in found.tensors.items() if key.startswith(NETWORK)}
    missing, foreign = sorted(own.keys() - theirs.keys()), sorted(theirs.keys() - own.keys())
    reshaped = [
        f"{key} {tuple(theirs[key].shape)} instead of {tuple(own[key].shape)}"
        for key in sorted(own.keys() & theirs.keys())
        if own[key].shape != theirs[key].shape
    ]
    if missing or foreign or reshaped:
        parts = {"missing": missing, "unexpected": foreign, "of another shape": reshaped}
        details = "; ".join(f"{kind}: {some(keys)}" for kind, keys in parts.items() if keys)
        raise CheckpointError(
            f"{path} belongs to another network. {details[:1].upper()}{details[1:]}.",
            fix="Resume the run that it came from.",
        )
    training.restore(found.tensors, found.state)


def checksum(tensors: dict[str, Tensor], meta: dict[str, Any]) -> int:
    """CRC-32 over the state and all values, in the order of their names."""
    crc = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
    for key in sorted(tensors):
        crc = zlib.crc32(raw(tensors[key]), zlib.crc32(key.encode(), crc))
    return crc
