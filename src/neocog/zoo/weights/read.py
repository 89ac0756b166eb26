"""Files of weights as tensors by name. Nothing in them is run."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from neocog.errors import CheckpointError

__all__ = ["read_weights"]

WRAPPERS = (
    "state_dict",
    "model",
    "model_state_dict",
)  # under which training programs keep the weights among other things


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` file or of one that `torch.save` wrote, in main memory.

    Weights that stand beside other things under a usual name are found, and the prefix that data parallelism leaves is
    taken off. Raises CheckpointError for a file that is missing, damaged, or holds anything but tensors.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights.pth"
    >>> torch.save({"state_dict": {"module.fc.bias": torch.zeros(2)}}, path)
    >>> read_weights(path)
    {'fc.bias': tensor([0., 0.])}
    """
    if not path.is_file():
        raise CheckpointError(f"There are no weights at {path}. Give a .pth or .safetensors file.")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings(action="ignore"):  # of other pickle protocols, which are read or refused below
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} can't be read as weights: {reason}. It is damaged, or holds more than tensors, which is not "
            "loaded since it could run code. Save its state_dict() alone."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path} must hold tensors by name. Received: {described(content)}.")
    prefix = "module." if content and all(str(key).startswith("module.") for key in content) else ""
    return {str(key).removeprefix(prefix): value for key, value in content.items()}


def described(content: object) -> str:
    """What a file holds instead."""
    if isinstance(content, Mapping):
        other = next(key for key, value in content.items() if not isinstance(value, Tensor))
        return f"{type(content[other]).__name__} under {other!r}"
    return type(content).__name__
