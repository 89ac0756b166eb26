"""A network for inference on a CPU: norms folded into convolutions, activations and shortcuts computed with them.

Eager PyTorch reads and writes every feature map once for each operation. A convolution of oneDNN can apply batch norm,
as a change of its filters, and the activation, and add the shortcut, before it writes its result for the first time.
"""

import operator
from collections import Counter
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn.utils.fusion import fuse_conv_bn_eval

from neocog.torch_private import BatchNormBase, fused_conv2d, pack_filters

__all__ = ["fuse"]

ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.SiLU: ("swish", []),
}
"""Activations that a convolution can apply, by their names in oneDNN."""
NONE: tuple[str, list[float]] = ("none", [])
ADDITIONS: tuple[Callable[..., object], ...] = (operator.add, torch.add)


@runtime_checkable
class SizedConv(Protocol):
    """A convolution that does something else for each size of its input."""

    def for_size(self, height: int, width: int) -> nn.Conv2d: ...


class FusedConv(nn.Module):
    """activation(convolution + shortcut) as one operation; (N, C, H, W) -> (N, K, h, w)."""

    def __init__(
        self, conv: nn.Conv2d, input_shape: tuple[int, ...], activation: tuple[str, list[float]], dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.conv, self.activation, self.dtype = conv.to(dtype), activation, dtype
        self.packed = pack_filters(self.conv, input_shape)

    def forward(self, maps: Tensor, added: Tensor | None = None) -> Tensor:
        maps = maps.to(self.dtype).contiguous(memory_format=torch.channels_last)
        if added is not None:
            added = added.to(self.dtype).contiguous(memory_format=torch.channels_last)
        return fused_conv2d(maps, self.packed, self.conv, self.activation, added)


class LeafTracer(fx.Tracer):
    """Traces a network; a module whose path depends on its inputs is called as a whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or not is_traceable(m)


def fuse(model: nn.Module, images: Tensor, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The same function as a network in evaluation mode, with fewer passes over memory; the network may change.

    `images` (N, C, H, W) is a batch as it will be used: filters are laid out for its shape. Other batch sizes work,
    too; other sizes of images do unless a convolution pads by the size of its input.
    With bfloat16, convolutions and dense layers round their inputs to it, and accumulate in float32.
    Raises whatever torch raises for a network that can't be traced.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()).eval()
    >>> [type(module).__name__ for module in fuse(net, torch.zeros(1, 3, 4, 4)).children()]
    ['FusedConv']
    """
    graph = LeafTracer().trace(model)
    traced = fx.GraphModule(model, graph)
    with torch.inference_mode():
        ShapeProp(traced).propagate(images)
    for_this_size(traced)
    fold_norms(traced)
    for node in list(graph.nodes):
        if node.op == "call_module" and is_fusable(traced, node):
            fuse_convolution(traced, node, dtype)
    drop_unused(traced)
    if dtype != torch.float32:
        for module in traced.modules():
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
                module.to(dtype)
                module.register_forward_pre_hook(rounded_to(dtype))
    return traced


def rounded_to(dtype: torch.dtype) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """A hook that rounds the inputs of a layer, which may come from one that computes in float32."""
    return lambda _, inputs: tuple(tensor.to(dtype) for tensor in inputs)


def is_traceable(module: nn.Module) -> bool:
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return True
    try:
        LeafTracer().trace(module)
    except Exception:  # whatever a forward pass raises when it is given a placeholder
        return False
    return True


def for_this_size(traced: fx.GraphModule) -> None:
    """Replace convolutions that pad by the size of their input by plain ones for the size that they met."""
    for node in traced.graph.nodes:
        module = module_of(traced, node)
        if isinstance(module, SizedConv):
            traced.set_submodule(node.target, module.for_size(*shape_of(node.all_input_nodes[0])[-2:]))


def fold_norms(traced: fx.GraphModule) -> None:
    """Fold each batch norm whose only input is a convolution that nothing else reads into its filters."""
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    for node in list(traced.graph.nodes):
        norm = module_of(traced, node)
        if not isinstance(norm, BatchNormBase) or norm.running_mean is None:
            continue
        source = node.all_input_nodes[0]
        conv = module_of(traced, source)
        if not isinstance(conv, nn.Conv1d | nn.Conv2d) or len(source.users) > 1:
            continue
        if calls[source.target] > 1 or calls[node.target] > 1:
            continue
        traced.set_submodule(str(source.target), fuse_conv_bn_eval(conv, norm))
        node.replace_all_uses_with(source)
        traced.graph.erase_node(node)
    traced.recompile()


def is_fusable(traced: fx.GraphModule, node: fx.Node) -> bool:
    conv = module_of(traced, node)
    return type(conv) is nn.Conv2d and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def fuse_convolution(traced: fx.GraphModule, node: fx.Node, dtype: torch.dtype) -> None:
    """Compute a convolution, the shortcut and the activation that follow it, as one operation."""
    chain, inputs, activation = [node], [node.all_input_nodes[0]], NONE
    after = only_user(node)
    if after is not None and (other := shortcut(node, after)) is not None:
        chain.append(after)
        inputs.append(other)
        after = only_user(after)
    module = module_of(traced, after)
    found = None if module is None else ACTIVATIONS.get(type(module))
    # oneDNN would apply other activations than ReLU before it adds.
    if after is not None and found is not None and (len(inputs) == 1 or found[0] == "relu"):
        chain.append(after)
        activation = found
    conv, name = module_of(traced, node), f"fused_{node.name}"
    assert isinstance(conv, nn.Conv2d)
    traced.add_submodule(name, FusedConv(conv, shape_of(inputs[0]), activation, dtype))
    with traced.graph.inserting_before(chain[-1]):
        fused = traced.graph.call_module(name, tuple(inputs))
    fused.meta = chain[-1].meta
    chain[-1].replace_all_uses_with(fused)
    for replaced in reversed(chain):
        traced.graph.erase_node(replaced)


def shortcut(conv: fx.Node, after: fx.Node) -> fx.Node | None:
    """The value that is added to the outputs of a convolution, if it has their shape."""
    if after.target not in ADDITIONS or len(after.args) != 2 or after.kwargs:
        return None
    others = [arg for arg in after.args if arg is not conv]
    if len(others) != 1 or not isinstance(others[0], fx.Node):
        return None
    return others[0] if shape_of(conv) == shape_of(others[0]) else None


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """The shape of a value, as it was when the example went through; empty if it is not a tensor."""
    found = node.meta.get("tensor_meta")
    return tuple(getattr(found, "shape", ()))


def only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def module_of(traced: fx.GraphModule, node: object) -> nn.Module | None:
    if isinstance(node, fx.Node) and node.op == "call_module" and isinstance(node.target, str):
        return traced.get_submodule(node.target)
    return None


def drop_unused(traced: fx.GraphModule) -> None:
    traced.graph.lint()
    traced.delete_all_unused_submodules()
    traced.recompile()
