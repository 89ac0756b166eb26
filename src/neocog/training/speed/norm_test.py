"""Does this device normalise this network's own feature maps correctly, in this precision and memory format?"""

import copy
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from neocog.training.executor import Precision, lay_out_channels_last, lower_precision, to_channels_last
from neocog.training.speed.candidates import Candidate

__all__ = ["find_norm_fault"]

NORMS = {getattr(place, name): name for place in (F, torch) for name in
         ("batch_norm", "group_norm", "instance_norm", "layer_norm")}  # fmt: skip
TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "fp16": 1e-2, "bf16": 5e-2}
"""The largest relative error. Correct norms stay below 1e-4 in fp32 and 2e-2 in bf16, also if the mean is 30 times the
deviation. Sums of squares, by which torch 2.13 normalises groups of channels-last maps on a CPU, are off by more if
the mean is a hundred times the deviation."""


def find_norm_fault(model: nn.Module, images: Tensor, candidate: Candidate) -> str | None:
    """A wrong result of a norm in one forward pass in training mode, with layer, error and tolerance; None if none is.

    The error depends on the mean and the deviation of what is normalised, so it is found on the network's own maps:

        error = |result - truth| / |truth|    in the Euclidean norm, with the truth from the same inputs in float64

    The network itself is left as it is.
    """
    model, checker = copy.deepcopy(model).train(), NormChecker(TOLERANCE[candidate.precision])
    if candidate.channels_last:
        lay_out_channels_last(model)
        images = to_channels_last(images) if images.ndim == 4 else images
    with ExitStack() as blocks, torch.no_grad(), checker:
        for name, module in model.named_modules():
            blocks.callback(module.register_forward_pre_hook(checker.entering(name)).remove)
        blocks.enter_context(lower_precision(candidate.precision, images.device, native=candidate.native))
        model(images)
    return checker.fault


class NormChecker(TorchFunctionMode):
    """Compares every norm with float64, and keeps the first that is wrong."""

    def __init__(self, tolerance: float) -> None:
        super().__init__()
        self.tolerance = tolerance
        self.layer = ""
        self.fault: str | None = None

    def entering(self, name: str) -> Callable[[nn.Module, Any], None]:
        def enter(_: nn.Module, __: Any) -> None:
            self.layer = name

        return enter

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in NORMS and self.fault is None:
            with torch.autocast(result.device.type, enabled=False):
                truth = func(*map(in_float64, args), **{name: in_float64(value) for name, value in kwargs.items()})
            self.compare(NORMS[func], in_float64(result), truth)
        return result

    def compare(self, operation: str, result: Tensor, truth: Tensor) -> None:
        error = float((result - truth).norm() / truth.norm().clamp(min=1e-300))
        if not error <= self.tolerance:  # also NaN
            where = f"{self.layer or 'the network'} ({operation})"
            self.fault = f"the output of {where} is off by {error:.1e}, more than {self.tolerance:.0e}"


def in_float64(value: Any) -> Any:
    """A tensor in float64, on the CPU and contiguous; other arguments as they are."""
    return value.cpu().double().contiguous() if isinstance(value, Tensor) else value
