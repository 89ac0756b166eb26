"""Operators that torchvision needs in order to be imported at all."""

import importlib.util
from pathlib import Path
from typing import Any

import torch

__all__ = ["declare_torchvision"]

declared: list[torch.library.Library] = []
"""Kept alive: a library undoes its declarations when it is collected."""


def declare_torchvision() -> bool:
    """Make torchvision importable beside torch for CPUs; returns whether anything was missing.

    The torchvision of package indexes is built for torch with CUDA. Beside torch for CPUs its own operators don't load,
    which the peers don't need (timm, Lightning, fastai, grad-cam), but without the declaration of two of them the
    import fails: `operator torchvision::nms does not exist`.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or declared:
        return bool(declared)
    load: Any = torch.ops.load_library
    make: Any = torch.library.Library
    try:
        load(next(Path(spec.origin).parent.glob("_C*.so")))
    except (OSError, StopIteration):
        library: Any = make("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        declared.append(library)
    return bool(declared)
