"""PyTorch as it is, and PyTorch with norms, activations and shortcuts computed by the convolutions before them."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from neocog.engines.engine import Backend, Engine, Program, is_on_cpu
from neocog.zoo.network import join_outputs

__all__ = ["Compiled", "CompiledBf16", "torch_backend"]


def torch_backend(model: nn.Module) -> Backend:
    """A network in evaluation mode, without gradients, on the device that it is on.

    On a CPU its filters are laid out with their channels last, in place: convolutions take 0.3 to 1.0 of their time.
    """
    model.eval()
    if is_on_cpu(model):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(inputs: Tensor) -> Tensor:
        with torch.inference_mode():
            device = next(model.parameters()).device
            return join_outputs(model(inputs.to(device))).cpu()

    return run


class Compiled(Engine):
    """`layers.fuse`: norms folded, activations and shortcuts within convolutions, channels last.

    The weights are copied; the network that it was made from is left as it is. Raises whatever torch raises for a
    network that can't be traced.
    """

    name: ClassVar[str] = "compiled"
    dtype: ClassVar[torch.dtype] = torch.float32

    @property
    def takes_decoded(self) -> bool:
        return False

    def compile(self, example: Tensor) -> Program:
        import copy

        from neocog.engines.network import Joined
        from neocog.layers.fuse import fuse  # torch.fx takes a second

        joined = self.network.model
        assert isinstance(joined, Joined)  # which can't be traced: it looks at what the network returns
        with torch.inference_mode():
            program = fuse(copy.deepcopy(joined.model), in_layout(example), self.dtype)

        def run(inputs: Tensor) -> Tensor:
            with torch.inference_mode():
                return join_outputs(program(in_layout(inputs))).float()

        return run


class CompiledBf16(Compiled):
    """As `Compiled`; convolutions and dense layers round their inputs to bfloat16, and accumulate in float32."""

    name: ClassVar[str] = "compiled-bf16"
    dtype: ClassVar[torch.dtype] = torch.bfloat16


def in_layout(inputs: Tensor) -> Tensor:
    """Images with their channels last in memory; other inputs as they are."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs
