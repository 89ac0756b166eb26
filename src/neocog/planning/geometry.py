"""The numbers of a convolution or pooling, one for each axis, whatever form torch was given them in."""

from dataclasses import dataclass
from typing import Any

from neocog.planning.trace import Operation, Trace

__all__ = ["Geometry", "geometry", "per_axis"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """How windows lie on a map, along each of its last axes."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool = False
    groups: int = 1
    ceil_mode: bool = False

    @property
    def axes(self) -> list[tuple[int, int, int, int]]:
        """(kernel_size, stride, padding, dilation) of each axis."""
        return list(zip(self.kernel_size, self.stride, self.padding, self.dilation, strict=True))


def geometry(trace: Trace, operation: Operation) -> Geometry | None:
    """The windows of a convolution or pooling; None for other operations."""
    args = operation.args
    if operation.name == "convolution":
        kernel = trace.values[args[1].value].shape[2:]
        stride, padding, dilation = (per_axis(setting, len(kernel)) for setting in args[3:6])
        return Geometry(kernel, stride, padding, dilation, transposed=args[6], groups=args[8])
    if operation.name.startswith(("max_pool", "avg_pool")):
        named = operation.named
        kernel = per_axis(named["kernel_size"], len(named["kernel_size"]))
        stride, padding, dilation = (
            per_axis(setting, len(kernel))
            for setting in (named["stride"] or kernel, named["padding"], named.get("dilation", 1))
        )
        return Geometry(kernel, stride, padding, dilation, ceil_mode=named["ceil_mode"])
    return None


def per_axis(setting: Any, count: int) -> tuple[int, ...]:
    """A setting for each axis; torch takes one for all, too."""
    values = (setting,) if isinstance(setting, int) else tuple(setting)
    return values * count if len(values) == 1 else values
