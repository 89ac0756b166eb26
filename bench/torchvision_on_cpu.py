"""Import libraries that need PyPI's torchvision, beside a torch for CPUs."""

import importlib
import sys
from typing import Any

__all__ = ["import_with_torchvision"]


def import_with_torchvision(name: str) -> Any:
    """The module of this name, which imports torchvision.

    PyPI's torchvision is built for torch with CUDA. Beside torch for CPUs its own operators are missing, which fastai
    and Lightning don't need, and so is the declaration of two of them, without which it can't be imported.
    """
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        library = importlib.import_module("torch").library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import_with_torchvision.library = library  # type: ignore[attr-defined]  # it undoes its work when collected
        broken = ("torchvision", "torchmetrics", name.split(".")[0])
        for loaded in [loaded for loaded in sys.modules if loaded.split(".")[0] in broken]:
            del sys.modules[loaded]
        return importlib.import_module(name)
