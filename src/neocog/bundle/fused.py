"""The network of large images, computed in fewer passes over memory: many tiles of one shape repay the preparation."""

import copy
import time

import torch
from torch import Tensor, nn

from neocog.zoo.network import join_outputs

__all__ = ["FusedBackend"]

LARGEST_ERROR = {torch.bfloat16: 1e-2, torch.float32: 1e-5}
"""Of the outputs, by their norms: bfloat16 keeps 8 bits; in float32 only the order of sums differs."""


class FusedBackend:
    """As `torch_backend`, with norms and activations computed by the convolutions before them, on a CPU.

    The first input is computed in both ways: in bfloat16, if the CPU is faster in it, and else in float32. If a
    network can't be traced, or the results differ by more than rounding, the plain network serves.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model.eval()
        self.program: nn.Module | None = None
        self.shape: torch.Size | None = None

    def __call__(self, inputs: Tensor, /) -> Tensor:
        with torch.inference_mode():
            device = next(self.model.parameters()).device
            inputs = inputs.to(device)
            if inputs.ndim == 4 and device.type == "cpu":
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            if self.shape != inputs.shape[1:]:
                self.program, self.shape = self.choose(inputs), inputs.shape[1:]
            assert self.program is not None
            return join_outputs(self.program(inputs)).float().cpu()

    def choose(self, inputs: Tensor) -> nn.Module:
        """The fused network if it is one and agrees on the first input of this batch, else the plain one."""
        if inputs.device.type != "cpu" or inputs.ndim != 4 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            return self.model
        from neocog.layers.fuse import fuse  # torch.fx takes a second
        from neocog.torch_private import has_mkldnn_bf16

        expected, plain_seconds = timed(self.model, inputs[:1])
        for dtype in [torch.bfloat16] * has_mkldnn_bf16() + [torch.float32]:
            try:
                program = fuse(copy.deepcopy(self.model), inputs, dtype)
                found, seconds = timed(program, inputs[:1])
            except Exception:  # tracing runs the network's own code, and a layer may not take bfloat16
                continue
            error = float((found - expected).norm() / expected.norm().clamp_min(1e-12))
            slow = dtype == torch.bfloat16 and seconds > plain_seconds  # a CPU that imitates the instructions
            if error <= LARGEST_ERROR[dtype] and not slow:
                return program
        return self.model


def timed(program: nn.Module, inputs: Tensor) -> tuple[Tensor, float]:
    """The outputs in float32, and the seconds of the processor."""
    began = time.process_time()
    found = join_outputs(program(inputs)).float()
    return found, time.process_time() - began
