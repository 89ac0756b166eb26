"""Rules of the backward pass: what an activation and a pooling do with the gradient that comes back.

    activation      forward      plain              guided                    deconvnet
    ReLU            max(x, 0)    g where x > 0      max(g, 0) where x > 0     max(g, 0)

For other rectifiers (ReLU6, leaky ReLU, ELU, SiLU, GELU, ...) "guided" keeps their own derivative behind max(g, 0), and
"deconvnet" replaces it by 1, as it does for ReLU. Saturating activations (tanh, sigmoid) keep their derivative.

    max pooling     add: the gradient, each place gets the sum of what its windows send back
                    overwrite: unpooling by switches, a place that won several windows gets one of their values

The two differ only where windows overlap. A rule applies to a function, however it is called: `nn.ReLU`, `F.relu`,
`torch.relu`, `Tensor.relu`, in place or not.

Sources: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 2.1; Springenberg et al.
2015, "Striving for simplicity", section 3.4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["DECONVNET", "GUIDED", "PLAIN", "Rules"]

RECTIFIERS = frozenset(
    {
        "relu", "relu6", "hardtanh", "leaky_relu", "rrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish",
        "hardswish", "softplus", "threshold",
    }
)  # fmt: skip
"""Names of functions that pass on positive values, with "hardtanh" as ReLU6 calls it."""
CLAMPS = frozenset({"clamp", "clip", "clamp_min"})
"""Functions that are rectifiers if their lower end is 0."""
POOLINGS: dict[str, tuple[Callable[..., Any], int]] = {
    "max_pool1d": (F.max_pool1d, 1), "max_pool2d": (F.max_pool2d, 2), "max_pool3d": (F.max_pool3d, 3),
    "adaptive_max_pool1d": (F.adaptive_max_pool1d, 1), "adaptive_max_pool2d": (F.adaptive_max_pool2d, 2),
    "adaptive_max_pool3d": (F.adaptive_max_pool3d, 3),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """The stand-ins for the gradients of activations and of max pooling."""

    activations: Literal["plain", "guided", "deconvnet"] = "plain"
    pooling: Literal["add", "overwrite"] = "add"

    def apply(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], source: Any
    ) -> Any:
        """The result of a call to which a rule applies; None for all other calls.

        `source` is the first argument as the network has it. A call that works in place gets a copy of it in `args`.
        """
        if self.activations != "plain" and is_rectifier(name, args, kwargs):
            made = func(*args, **kwargs)
            if not made.requires_grad:
                return made
            if self.activations == "guided":
                return PositiveBefore.apply(made)  # type: ignore[no-untyped-call]
            return PositiveOnly.apply(source, made.detach())  # type: ignore[no-untyped-call]
        if self.pooling == "overwrite" and (pooling := name.removesuffix("_with_indices")) in POOLINGS:
            wanted = name != pooling or kwargs.get("return_indices", False)
            return switched(pooling, *args, **{**kwargs, "return_indices": wanted})
        return None


PLAIN = Rules()
GUIDED = Rules("guided")
DECONVNET = Rules("deconvnet", "overwrite")


def is_rectifier(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call passes on positive values: not a hardtanh with a lower end below 0, or a clamp with another one.

    >>> is_rectifier("hardtanh", (None, 0.0, 6.0), {}), is_rectifier("hardtanh", (None,), {})
    (True, False)
    >>> is_rectifier("clamp", (None,), {"min": 0}), is_rectifier("clamp", (None, -1), {})
    (True, False)
    """
    low = args[1] if len(args) > 1 else kwargs.get("min_val" if name == "hardtanh" else "min")
    if name in CLAMPS:
        return isinstance(low, int | float) and low == 0
    return name in RECTIFIERS and not (name == "hardtanh" and (low is None or low < 0))


class PositiveOnly(torch.autograd.Function):
    """`made` as a function of x whose gradient is max(g, 0), whatever x was."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, made: Tensor) -> Tensor:
        return made.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.clamp(min=0), None


class PositiveBefore(torch.autograd.Function):
    """The values themselves; the gradient that goes back to what made them is max(g, 0)."""

    @staticmethod
    def forward(ctx: Any, made: Tensor) -> Tensor:
        return made.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.clamp(min=0)


def switched(name: str, maps: Tensor, *args: Any, return_indices: bool = False, **kwargs: Any) -> Any:
    """Max pooling whose backward pass puts values back to the switches, and does not add where windows overlap."""
    func, axes = POOLINGS[name]
    pooled, places = func(maps, *args, return_indices=True, **kwargs)
    made = Unpooled.apply(maps, pooled.detach(), places, axes)  # type: ignore[no-untyped-call]
    return (made, places) if return_indices else made


class Unpooled(torch.autograd.Function):
    """Pooled maps as a function of the maps before; of windows that share a maximum, the last one's value goes back."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, pooled: Tensor, places: Tensor, axes: int) -> Tensor:
        ctx.save_for_backward(places)
        ctx.size, ctx.axes = maps.shape, axes
        return pooled.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (places,) = ctx.saved_tensors
        lead = ctx.size[: -ctx.axes]
        restored = gradient.new_zeros(*lead, *[1] * ctx.axes).expand(ctx.size).flatten(len(lead)).contiguous()
        restored.scatter_(-1, places.flatten(len(lead)), gradient.flatten(len(lead)))
        return restored.view(ctx.size), None, None, None
