"""The network of large images, computed in fewer passes over memory: many tiles of one shape repay the preparation."""

import copy

import torch
from torch import Tensor, nn

from neocog.zoo.network import join_outputs

__all__ = ["FusedBackend"]

EXACT = 1e-5  # the largest relative error of the outputs, by their norms: what rounding in another order makes


class FusedBackend:
    """As `torch_backend`, with norms and activations computed by the convolutions before them, on a CPU.

    The first batch is computed in both ways. If a network can't be traced, or the results differ by more than rounding,
    the plain network serves.
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
        """The fused network if it is one and agrees on this batch, else the plain one."""
        if inputs.device.type != "cpu" or inputs.ndim != 4 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            return self.model
        from neocog.layers.fuse import fuse  # torch.fx takes a second

        first = inputs[:1]
        try:
            program = fuse(copy.deepcopy(self.model), inputs)
            found = join_outputs(program(first))
        except Exception:  # tracing runs the network's own code; whatever it raises, the plain network serves
            return self.model
        expected = join_outputs(self.model(first))
        error = float((found - expected).norm() / expected.norm().clamp_min(1e-12))
        return program if error <= EXACT else self.model
