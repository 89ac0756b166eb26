"""Files of weights as tensors by name. Nothing in them is run."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from neocog.errors import CheckpointError
from neocog.zoo.weights.other_kinds import is_checkpoint, is_safetensors, other_kind

__all__ = ["read_weights"]

WRAPPERS = (
    "state_dict",
    "model",
    "model_state_dict",
)  # under which training programs keep the weights among other things
PREFIXES = ("module.", "_orig_mod.")  # of torch's DistributedDataParallel and torch.compile


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file or of one that `torch.save` wrote, in main memory.

    Weights that are stored beside other things under a usual name are found, and the prefixes that data parallelism and
    compilation leave are taken off. Raises CheckpointError for a file that is missing, damaged, or holds anything but
    tensors; one of a known kind is called by its name.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights.pth"
    >>> torch.save({"state_dict": {"module.fc.bias": torch.zeros(2)}}, path)
    >>> read_weights(path)
    {'fc.bias': tensor([0., 0.])}
    """
    if not path.exists():
        raise CheckpointError(f"There are no weights at {path}. Give a .pth or .safetensors file.")
    if path.is_dir():
        raise CheckpointError(f"Weights are read from a file. {other_kind(path)}")
    try:
        if is_safetensors(path):
            return read_safetensors(path)
        # Warnings are of other pickle protocols, which are read or refused below. By a path torch would go by its name.
        with warnings.catch_warnings(action="ignore"), path.open("rb") as file:
            content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        if (kind := other_kind(path)) is not None:
            raise CheckpointError(f"Weights are tensors by name. {kind}") from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} can't be read as weights: {reason}. It is damaged, or holds more than tensors, which is not "
            "loaded since it could run code. Save its state_dict() alone."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path} must hold tensors by name.", received=f"{described(content)}")
    return without_prefixes({str(key): value for key, value in content.items()})


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises CheckpointError for the checkpoint of a run."""
    with safe_open(path, framework="pt") as file:
        keys = list(file.keys())
        if (kind := is_checkpoint(path, keys, file.metadata() or {})) is not None:
            raise CheckpointError(f"Weights are tensors by name. {kind}")
        return without_prefixes({key: file.get_tensor(key) for key in keys})


def without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """
    >>> without_prefixes({"module._orig_mod.fc.bias": torch.zeros(1)})
    {'fc.bias': tensor([0.])}
    """
    for prefix in (*PREFIXES, *PREFIXES):
        if tensors and all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def described(content: object) -> str:
    """The content of a file, described."""
    if isinstance(content, Mapping):
        other = next(key for key, value in content.items() if not isinstance(value, Tensor))
        return f"{type(content[other]).__name__} under {other!r}"
    return type(content).__name__
