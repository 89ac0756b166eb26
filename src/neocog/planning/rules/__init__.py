"""Operation by operation: which of its inputs' elements each output is made of.

The names are those of torch's dispatcher. Elementwise operations are known by their tag; an operation that is in no
table is assumed to read everything, and says so.
"""

import torch

from neocog.planning.calls import Call, Chain, Rule
from neocog.planning.dependencies import Everything
from neocog.planning.rules import reductions, reshaping, windows
from neocog.planning.trace import Operation, Ref, Trace

__all__ = ["dependencies", "is_known"]


def dependencies(trace: Trace, operation: Operation, output: int = 0) -> list[Chain]:
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
        return reductions.pointwise
    return rule


RULES: dict[str, Rule] = {
    "convolution": windows.convolution,
    "gather": reductions.chosen_along,
    "glu": reductions.gated,
    "topk": reductions.chosen_along,
    "embedding": reductions.embedding,
    "native_batch_norm": reductions.batch_norm,
    "native_group_norm": reductions.group_norm,
    "native_layer_norm": reductions.along(reductions.last_dims),
    "max_unpool2d": windows.unpooling,
    "max_unpool3d": windows.unpooling,
    "softmax": reductions.along(lambda call, rank: [call.args[1]]),
    "log_softmax": reductions.along(lambda call, rank: [call.args[1]]),
    "safe_softmax": reductions.along(lambda call, rank: [call.args[1]]),
    "cumsum": reductions.along(lambda call, rank: [call.args[1]], exactly=False),
    "cumprod": reductions.along(lambda call, rank: [call.args[1]], exactly=False),
    "sort": reductions.along(lambda call, rank: [call.args[1]], exactly=False),
    "channel_shuffle": reshaping.channel_shuffle,
    "native_channel_shuffle": reshaping.channel_shuffle,
    "pixel_shuffle": windows.pixel_shuffle,
    "pixel_unshuffle": windows.pixel_unshuffle,
    "im2col": windows.im2col,
    "unfold": windows.unfold,
    "index_select": reductions.index_select,
    "index": reductions.index,
    "flip": reshaping.flip,
    "roll": reshaping.roll,
    "repeat": reshaping.repeat,
    "expand": reshaping.expand,
    "unsqueeze": reshaping.unsqueeze,
    "squeeze": reshaping.squeeze,
    "slice": reshaping.slicing,
    "select": reshaping.select,
}
RULES |= dict.fromkeys(
    [
        "copy", "clone", "to_copy", "detach", "alias", "lift_fresh", "contiguous", "native_dropout", "dropout",
        "bernoulli", "hardswish", "log_sigmoid_forward", "prelu_kernel", "rrelu_with_noise", "tril", "triu",
    ],
    reductions.pointwise,
)  # fmt: skip
RULES |= dict.fromkeys(["mm", "bmm", "mv", "addmm", "baddbmm", "addmv", "dot"], reductions.product)
RULES |= dict.fromkeys(["view", "reshape", "unsafe_view", "reshape_alias"], reshaping.view)
RULES |= dict.fromkeys(["permute", "transpose", "t"], reshaping.permute)
RULES |= dict.fromkeys(
    ["split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "unbind"], reshaping.splitting
)
RULES |= dict.fromkeys(["cat", "stack"], reshaping.concatenation)
RULES |= dict.fromkeys(
    [
        "mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "prod", "any", "all", "argmax", "argmin",
        "linalg_vector_norm", "logsumexp", "median",
    ],
    reductions.reduction,
)  # fmt: skip
for dims in (1, 2, 3):
    RULES |= dict.fromkeys([f"avg_pool{dims}d", f"max_pool{dims}d", f"max_pool{dims}d_with_indices"], windows.pooling)
    RULES |= dict.fromkeys(
        [f"adaptive_avg_pool{dims}d", f"adaptive_max_pool{dims}d"], windows.resampling(windows.adaptive)
    )
    RULES |= dict.fromkeys(
        [f"upsample_nearest{dims}d", f"upsample_nearest_exact{dims}d"], windows.resampling(windows.nearest)
    )
    RULES |= dict.fromkeys([f"reflection_pad{dims}d", f"replication_pad{dims}d"], windows.padded)
RULES |= dict.fromkeys(
    ["upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"], windows.resampling(windows.interpolated(1))
)
RULES |= {"upsample_bicubic2d": windows.resampling(windows.interpolated(2)), "constant_pad_nd": windows.padded}
RULES |= {
    "upsample_bilinear2d_aa": windows.resampling(windows.antialiased(1)),
    "upsample_bicubic2d_aa": windows.resampling(windows.antialiased(2)),
}
