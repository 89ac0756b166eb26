"""Every private name of torch that Neocog uses, in one place: after an update of torch, look here first.

Each has a test in tests/test_torch_private.py that fails by its name if torch moves, removes or changes it.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.distributed.distributed_c10d import Store, _get_default_store
from torch.nn.modules.batchnorm import _BatchNorm as BatchNormBase
from torch.nn.modules.batchnorm import _NormBase as NormBase
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

__all__ = [
    "BatchNormBase",
    "NormBase",
    "OpOverload",
    "SkipsOnDevice",
    "TorchDispatchMode",
    "check_rank",
    "default_store",
    "drop_guards",
    "foreach_add",
    "foreach_add_",
    "foreach_addcmul_",
    "foreach_clamp_max_",
    "foreach_clamp_min_",
    "foreach_copy_",
    "foreach_div",
    "foreach_div_",
    "foreach_lerp_",
    "foreach_mul_",
    "foreach_norm",
    "foreach_sqrt_",
    "foreach_sub_",
    "fused_conv2d",
    "has_amx_tiles",
    "has_avx512_bf16",
    "has_mkldnn_bf16",
    "keep_hooks",
    "mark_dynamic",
    "own_tensors",
    "pack_filters",
    "read_scaler",
    "read_skip",
    "restore_scaler",
    "schema_arguments",
    "step_unless",
    "storage_id",
    "tree_leaves",
    "tree_map_only",
    "unwrap_compiled",
]

# One call, and on a GPU a few kernels, for all tensors of a list.
foreach_add, foreach_add_ = torch._foreach_add, torch._foreach_add_
foreach_addcmul_ = torch._foreach_addcmul_
foreach_clamp_max_, foreach_clamp_min_ = torch._foreach_clamp_max_, torch._foreach_clamp_min_
foreach_copy_ = torch._foreach_copy_
foreach_div, foreach_div_ = torch._foreach_div, torch._foreach_div_
foreach_lerp_ = torch._foreach_lerp_
foreach_mul_ = torch._foreach_mul_
foreach_norm = torch._foreach_norm
foreach_sqrt_ = torch._foreach_sqrt_
foreach_sub_ = torch._foreach_sub_


def has_amx_tiles() -> bool:
    """Whether this CPU has tile instructions (AMX)."""
    return torch.cpu._is_amx_tile_supported()


def has_avx512_bf16() -> bool:
    """Whether this CPU has AVX-512 instructions for bf16."""
    return torch.cpu._is_avx512_bf16_supported()


def has_mkldnn_bf16() -> bool:
    """Whether oneDNN computes in bf16 on this CPU with instructions of its own."""
    return bool(
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def pack_filters(conv: nn.Conv2d, input_shape: Sequence[int]) -> Tensor:
    """The filters of a convolution in the layout that oneDNN prefers for inputs of this shape; it is opaque."""
    filters = conv.weight.detach()
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
        filters, list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups, list(input_shape)
    )
    return packed


def fused_conv2d(
    images: Tensor, packed: Tensor, conv: nn.Conv2d, activation: tuple[str, list[float]], added: Tensor | None = None
) -> Tensor:
    """activation(conv(images) + added) in one pass over memory, with filters from `pack_filters`; (N, C, H, W).

    `activation` is oneDNN's name and its parameters: `("relu", [])`, `("hardtanh", [0.0, 6.0])`, `("swish", [])`, or
    `("none", [])`.
    """
    name, scalars = activation
    geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
    run = torch.ops.mkldnn._convolution_pointwise
    if added is None:
        made: Tensor = run(images, packed, conv.bias, *geometry, name, scalars, "")
    else:
        after = None if name == "none" else name
        made = run.binary(images, added, packed, conv.bias, *geometry, "add", 1.0, after, scalars, None)
    return made


def default_store() -> Store:
    """The store of the process group that is already there."""
    return _get_default_store()


def mark_dynamic(tensor: Tensor, axis: int) -> None:
    """Let one compiled program serve all sizes of this axis."""
    torch._dynamo.maybe_mark_dynamic(tensor, axis)


def read_scaler(scaler: torch.amp.GradScaler) -> tuple[float, int]:
    """The parts of a GradScaler's state that change from step to step: the scale, and good steps since it changed."""
    state = scaler.state_dict()
    return state["scale"], state["_growth_tracker"]


def restore_scaler(scaler: torch.amp.GradScaler, scale: float, growth_tracker: int) -> None:
    """The inverse of `read_scaler`."""
    scaler.load_state_dict(scaler.state_dict() | {"scale": scale, "_growth_tracker": growth_tracker})


def step_unless(optimizer: torch.optim.Optimizer, skip: Tensor) -> None:
    """Step a fused optimiser, or one of ours; nothing changes if `skip`, float32 of shape (), is 1.

    The flag stays on the device. torch's fused updates read it from the attribute through which GradScaler passes it.
    """
    optimizer.found_inf = skip  # type: ignore[attr-defined]
    try:
        optimizer.step()
    finally:
        del optimizer.found_inf  # type: ignore[attr-defined]


def check_rank(norm: BatchNormBase, maps: Tensor) -> None:
    """Raises ValueError unless the input has the number of axes that this batch norm takes."""
    norm._check_input_dim(maps)  # type: ignore[no-untyped-call]


def own_tensors(module: nn.Module) -> Iterator[object]:
    """A module's own parameters, buffers and attributes, tensors or not."""
    yield from (*module._parameters.values(), *module._buffers.values(), *vars(module).values())


def keep_hooks(module: nn.Module, kinds: tuple[type, ...]) -> None:
    """Drop all hooks of a module except forward pre-hooks of these classes."""
    kept = {key: hook for key, hook in module._forward_pre_hooks.items() if isinstance(hook, kinds)}
    module._forward_hooks, module._forward_pre_hooks = OrderedDict(), OrderedDict(kept)
    module._backward_hooks, module._backward_pre_hooks = OrderedDict(), OrderedDict()


def unwrap_compiled(model: nn.Module) -> nn.Module:
    """The module that torch.compile has wrapped, or the module itself."""
    inner: nn.Module = getattr(model, "_orig_mod", model)
    return inner


def drop_guards(program: torch.export.ExportedProgram) -> None:
    """Remove the conditions on sizes of inputs that an exported program took from its example, such as being above 1.

    They say where tracing has looked, not where the graph is right.
    """
    program._guards_code = []


def schema_arguments(operator: OpOverload) -> Sequence[Any]:
    """An operator's arguments as its schema declares them: `name`, `default_value`, `is_write`."""
    arguments: Sequence[Any] = operator._schema.arguments
    return arguments


def storage_id(tensor: Tensor) -> int:
    """A number that tensors share exactly if they share memory."""
    number: int = tensor.untyped_storage()._cdata
    return number


class SkipsOnDevice:
    """Mixed into an optimiser of ours that honours `read_skip`: GradScaler then leaves the decision on the device."""

    _step_supports_amp_scaling = True


def read_skip(optimizer: torch.optim.Optimizer) -> Tensor | None:
    """The flag that `step_unless` or GradScaler has set for this step: above 0 if nothing may change."""
    flag: Tensor | None = getattr(optimizer, "found_inf", None)
    return flag
