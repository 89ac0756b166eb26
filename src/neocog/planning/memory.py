"""How much memory activations take: what inference holds at its fullest, and what training keeps for its way back."""

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from neocog.planning.trace import Trace
from neocog.torch_private import storage_id

__all__ = ["inference_peak", "training_bytes"]


def inference_peak(trace: Trace) -> int:
    """Bytes of activations alive together at the fullest moment, each from where it is made to where it is last read.

    Weights are not counted; nor is what an algorithm for convolution keeps for itself.
    """
    last: dict[int, int] = {}
    for moment, operation in enumerate(trace.operations):
        for value in (*operation.inputs, *operation.outputs):
            last[trace.values[value].storage] = moment
    for value in trace.outputs:
        last[trace.values[value].storage] = len(trace.operations)
    alive = {trace.values[trace.input].storage: trace.values[trace.input].size}
    peak = sum(alive.values())
    for moment, operation in enumerate(trace.operations):
        for value in operation.outputs:
            made = trace.values[value]
            if made.from_input:
                alive[made.storage] = max(alive.get(made.storage, 0), made.size)
        peak = max(peak, sum(alive.values()))
        alive = {storage: size for storage, size in alive.items() if last.get(storage, 0) > moment}
    return peak


def training_bytes(copied: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, batch_size: int = 2) -> int | None:
    """Bytes for one sample that torch's autograd keeps from the forward pass for the backward pass.

    Not an estimate: the copy, in training mode, runs on the meta device, and autograd's hooks see all that is
    kept. None if the network does not run in training mode.
    """
    owned = {storage_id(tensor) for tensor in (*copied.parameters(), *copied.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[storage_id(tensor)] = tensor
        return tensor

    copied.train()
    try:
        with torch.enable_grad(), torch.device("meta"), saved_tensors_hooks(keep, lambda tensor: tensor):
            result = copied(torch.empty(batch_size, *shape, dtype=dtype, device="meta"))
    except (RuntimeError, ValueError, NotImplementedError):
        return None
    finally:
        copied.eval()
    del result
    sizes = [tensor.untyped_storage().nbytes() for storage, tensor in kept.items() if storage not in owned]
    return sum(sizes) // batch_size
