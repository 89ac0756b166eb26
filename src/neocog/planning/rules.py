"""Operation by operation: which of its inputs' elements each output is made of.

The names are those of torch's dispatcher. Elementwise operations are known by their tag; an operation that is in no
table is assumed to read everything, and says so.
"""

import torch

from neocog.planning.calls import Call, Chain, Rule
from neocog.planning.reads import Everything
from neocog.planning.rules_of_mixing import (
    along,
    batch_norm,
    embedding,
    group_norm,
    index,
    index_select,
    last_dims,
    pointwise,
    product,
    reduction,
)  # fmt: skip
from neocog.planning.rules_of_moving import (
    channel_shuffle,
    concatenation,
    expand,
    flip,
    permute,
    repeat,
    roll,
    select,
    slicing,
    splitting,
    squeeze,
    unsqueeze,
    view,
)  # fmt: skip
from neocog.planning.rules_of_windows import (
    adaptive,
    antialiased,
    convolution,
    im2col,
    interpolated,
    nearest,
    padded,
    pixel_shuffle,
    pixel_unshuffle,
    pooling,
    resampling,
    unfold,
    unpooling,
)  # fmt: skip
from neocog.planning.trace import Operation, Ref, Trace

__all__ = ["is_known", "reads"]


def reads(trace: Trace, operation: Operation, output: int = 0) -> list[Chain]:
    """The chains from each input to one of the operation's outputs."""
    call = Call(trace, operation, output)
    rule = find_rule(operation)
    if rule is not None:
        return rule(call)
    return [chain for value in operation.inputs for chain in call.chain(Ref(value), Everything(call.shape))]


def is_known(operation: Operation) -> bool:
    """Whether a rule says what the operation reads."""
    return operation.operator is not None and find_rule(operation) is not None


def find_rule(operation: Operation) -> Rule | None:
    rule = RULES.get(operation.name)
    if rule is None and operation.operator is not None and torch.Tag.pointwise in operation.operator.tags:
        return pointwise
    return rule


RULES: dict[str, Rule] = {
    "convolution": convolution,
    "embedding": embedding,
    "native_batch_norm": batch_norm,
    "native_group_norm": group_norm,
    "native_layer_norm": along(last_dims),
    "max_unpool2d": unpooling,
    "max_unpool3d": unpooling,
    "softmax": along(lambda call, rank: [call.args[1]]),
    "log_softmax": along(lambda call, rank: [call.args[1]]),
    "safe_softmax": along(lambda call, rank: [call.args[1]]),
    "cumsum": along(lambda call, rank: [call.args[1]]),
    "cumprod": along(lambda call, rank: [call.args[1]]),
    "sort": along(lambda call, rank: [call.args[1]]),
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "im2col": im2col,
    "unfold": unfold,
    "index_select": index_select,
    "index": index,
    "flip": flip,
    "roll": roll,
    "repeat": repeat,
    "expand": expand,
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "slice": slicing,
    "select": select,
}
RULES |= dict.fromkeys(
    ["copy", "clone", "to_copy", "detach", "alias", "lift_fresh", "native_dropout", "contiguous", "dropout"], pointwise
)
RULES |= dict.fromkeys(["mm", "bmm", "mv", "addmm", "baddbmm", "addmv", "dot"], product)
RULES |= dict.fromkeys(["view", "reshape", "unsafe_view", "reshape_alias"], view)
RULES |= dict.fromkeys(["permute", "transpose", "t"], permute)
RULES |= dict.fromkeys(["split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "unbind"], splitting)
RULES |= dict.fromkeys(["cat", "stack"], concatenation)
RULES |= dict.fromkeys(
    [
        "mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "prod", "any", "all", "argmax", "argmin",
        "linalg_vector_norm", "logsumexp", "median",
    ],
    reduction,
)  # fmt: skip
for dims in (1, 2, 3):
    RULES |= dict.fromkeys([f"avg_pool{dims}d", f"max_pool{dims}d", f"max_pool{dims}d_with_indices"], pooling)
    RULES |= dict.fromkeys([f"adaptive_avg_pool{dims}d", f"adaptive_max_pool{dims}d"], resampling(adaptive))
    RULES |= dict.fromkeys([f"upsample_nearest{dims}d", f"upsample_nearest_exact{dims}d"], resampling(nearest))
    RULES |= dict.fromkeys([f"reflection_pad{dims}d", f"replication_pad{dims}d"], padded)
RULES |= dict.fromkeys(
    ["upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"], resampling(interpolated(1))
)
RULES |= {"upsample_bicubic2d": resampling(interpolated(2)), "constant_pad_nd": padded}
RULES |= {"upsample_bilinear2d_aa": resampling(antialiased(1)), "upsample_bicubic2d_aa": resampling(antialiased(2))}
