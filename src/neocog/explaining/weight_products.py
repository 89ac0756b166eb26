"""The gradient of each weight of one filter, as the sum of the products in which it occurs.

    convolution     dE/dw[c, m] = sum_i delta[i] x[c, s i + d m - p]
    transposed      dE/dw[c, m] = sum_i delta[s i + d m - p] x[c, i]
    dense           dE/dw[i] = delta x[i]
    batch norm      dE/dgamma = sum_i delta[i] z[i],   z = (x - mean) / sqrt(var + eps)

All in float64. The derivations are in `neocog.reference.gradients`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.errors import ConfigError
from neocog.explaining.filters import Observed, WeightedSum

__all__ = ["Terms", "WeightProducts", "products_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The products that make up the gradient of one weight; M of them."""

    places: NDArray[np.int64]
    """Of the units whose deltas these are, in the layer's feature maps, (M, axes)."""
    deltas: NDArray[np.float64]
    """(M,)."""
    inputs: NDArray[np.float64]
    """The value that the weight multiplies there, (M,)."""

    @property
    def products(self) -> NDArray[np.float64]:
        """(M,); their sum is dE/dw."""
        return self.deltas * self.inputs


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WeightProducts:
    """The weights of one filter, what each multiplies at every place, and the deltas there."""

    inputs: NDArray[np.float64]
    """The values that the filter reads, (I/g, *places)."""
    deltas: NDArray[np.float64]
    """dE/dy of the filter's units, (*places)."""
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    transposed: bool = False

    @property
    def gradient(self) -> NDArray[np.float64]:
        """dE/dw of each weight: (I/g, *kernel); (I,) of a dense layer; (1,) for the gamma of batch norm."""
        rows, columns = np.arange(len(self.inputs)), []
        for tap in product(*map(range, self.kernel)):
            at_inputs, at_deltas = self.meet(tap)
            products = self.inputs[np.ix_(rows, *at_inputs)] * self.deltas[np.ix_(*at_deltas)]
            columns.append(products.reshape(len(rows), -1).sum(1))
        return np.stack(columns, 1).reshape(len(rows), *self.kernel)

    @property
    def bias_gradient(self) -> float:
        """dE/db = sum_i delta[i]; the same for the beta of batch norm."""
        return float(self.deltas.sum())

    def terms(self, weight: Sequence[int]) -> Terms:
        """The products of one weight: its channel within the group, then its place in the kernel.

        Places where it falls on padding are not among them. Raises ConfigError for a weight that the filter lacks.
        """
        shape = (len(self.inputs), *self.kernel)
        if len(weight) != len(shape) or any(not 0 <= at < size for at, size in zip(weight, shape, strict=True)):
            raise ConfigError(f"A weight is a place within the filter, {shape}.", received=f"{tuple(weight)}")
        channel, *tap = weight
        at_inputs, at_deltas = self.meet(tap)
        where = np.stack(np.meshgrid(*at_deltas, indexing="ij"), -1).reshape(-1, len(at_deltas))
        return Terms(where, self.deltas[np.ix_(*at_deltas)].ravel(), self.inputs[channel][np.ix_(*at_inputs)].ravel())

    def meet(self, tap: Sequence[int]) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
        """Along each axis, the places of inputs and of deltas that a weight brings together."""
        sizes = list(zip(self.inputs.shape[1:], self.deltas.shape, strict=True))
        if not self.kernel:
            return [np.arange(n) for n, _ in sizes], [np.arange(n) for n, _ in sizes]
        at_inputs, at_deltas = [], []
        for (size, units), m, s, p, d in zip(sizes, tap, self.stride, self.padding, self.dilation, strict=True):
            many, few = (units, size) if self.transposed else (size, units)
            i = np.arange(few)
            j = s * i + d * m - p
            there = (j >= 0) & (j < many)
            at_inputs.append(i[there] if self.transposed else j[there])
            at_deltas.append(j[there] if self.transposed else i[there])
        return at_inputs, at_deltas


def products_of(seen: Observed, deltas: Tensor, at: tuple[int, ...]) -> WeightProducts | None:
    """The products of the filter to which the unit at this place of a layer's output belongs; None without weights."""
    if seen.weighted is not None:
        return of_sum(seen.weighted, deltas, at)
    if seen.name == "batch_norm":
        return of_batch_norm(seen, deltas, at[1])
    return None


def of_sum(weighted: WeightedSum, deltas: Tensor, at: tuple[int, ...]) -> WeightProducts:
    inputs = floats(weighted.inputs)
    if not weighted.is_convolution:
        rows = floats(deltas).reshape(len(inputs), -1)
        return WeightProducts(inputs=inputs.T, deltas=rows[:, at[-1]])
    channel, group = at[1], weighted.kernels.shape[1]
    number = channel // (len(weighted.kernels) // weighted.groups)
    return WeightProducts(
        inputs=inputs[0, number * group : (number + 1) * group], deltas=floats(deltas)[0, channel],
        kernel=tuple(weighted.weight.shape[2:]), stride=weighted.stride, padding=weighted.padding,
        dilation=weighted.dilation, transposed=weighted.transposed,
    )  # fmt: skip


def of_batch_norm(seen: Observed, deltas: Tensor, channel: int) -> WeightProducts:
    """With running statistics, or those of the input itself if there are none."""
    x = floats(seen.argument(0, "input"))[0, channel]
    mean, var = (seen.argument(place, name) for place, name in ((1, "running_mean"), (2, "running_var")))
    of_input = mean is None or var is None or seen.argument(5, "training", False)
    centre, spread = (x.mean(), x.var()) if of_input else (floats(mean)[channel], floats(var)[channel])
    z = (x - centre) / np.sqrt(spread + seen.argument(7, "eps", 1e-5))
    return WeightProducts(inputs=z.reshape(1, max(prod(z.shape), 1)), deltas=floats(deltas)[0, channel].reshape(-1))


def floats(tensor: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = tensor.detach().double().cpu().numpy()
    return found
