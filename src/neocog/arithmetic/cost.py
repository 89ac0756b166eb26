"""The cost of a layer: parameters, multiply-accumulates, bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from neocog.arithmetic.padding import check_geometry
from neocog.errors import GeometryError

__all__ = ["Cost", "chain_bytes", "conv_cost", "conv_transpose_cost", "dense_weights", "linear_cost"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """The cost of a layer for one sample.

    `macs` are multiplications each followed by an addition; those with padding zeros are counted, as everywhere in
    the field. Bias additions are counted separately.
    """

    weights: int
    biases: int
    macs: int
    bias_adds: int
    input_values: int
    output_values: int

    @property
    def parameters(self) -> int:
        return self.weights + self.biases

    @property
    def flops(self) -> int:
        """2 x MACs; `bias_adds` come on top."""
        return 2 * self.macs

    def inference_bytes(self, itemsize: int = 4) -> int:
        """Activations that are alive while the layer computes: its input and its output."""
        return (self.input_values + self.output_values) * itemsize

    def training_bytes(self, itemsize: int = 4) -> int:
        """Activations that the layer keeps for the backward pass: its input, from which the weights' gradient is made.

        The output is kept by the next layer, as that layer's input.
        """
        return self.input_values * itemsize

    @property
    def dense_ratio(self) -> Fraction:
        """How many times more weights a fully connected layer between the same values would have."""
        return Fraction(dense_weights(self.input_values, self.output_values), self.weights)


def conv_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: Sequence[int],
    input_size: Sequence[int],
    output_size: Sequence[int],
    groups: int = 1,
    bias: bool = True,
) -> Cost:
    """A convolution in as many dimensions as the sizes have; depthwise where groups = in_channels, pointwise where
    the kernel is 1.

        weights = C_out * C_in/g * prod(k),   MACs = weights * prod(output)

    Raises GeometryError if groups does not divide the channels, or the sizes have different dimensions.

    >>> cost = conv_cost(3, 64, (7, 7), (224, 224), (112, 112), bias=False)
    >>> cost.parameters, cost.macs
    (9408, 118013952)
    """
    return kernel_cost(
        in_channels, out_channels, kernel_size, input_size, output_size, groups, bias, positions=prod(output_size)
    )


def conv_transpose_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: Sequence[int],
    input_size: Sequence[int],
    output_size: Sequence[int],
    groups: int = 1,
    bias: bool = True,
) -> Cost:
    """A transposed convolution. Each input value meets each weight of its channel once, whatever the stride:

        MACs = C_in * C_out/g * prod(k) * prod(input)

    The zeros between stuffed inputs cost nothing, so nothing is multiplied by the stride squared.

    >>> conv_transpose_cost(8, 4, (2, 2), (16, 16), (32, 32)).macs
    32768
    """
    return kernel_cost(
        in_channels, out_channels, kernel_size, input_size, output_size, groups, bias, positions=prod(input_size)
    )


def linear_cost(in_features: int, out_features: int, bias: bool = True, positions: int = 1) -> Cost:
    """A fully connected layer, applied at each of `positions` places with the same weights.

    >>> linear_cost(400, 120).parameters, linear_cost(400, 120).flops
    (48120, 96000)
    """
    check_geometry(in_features=in_features, out_features=out_features, positions=positions)
    weights = dense_weights(in_features, out_features)
    return Cost(
        weights=weights,
        biases=out_features if bias else 0,
        macs=weights * positions,
        bias_adds=out_features * positions if bias else 0,
        input_values=in_features * positions,
        output_values=out_features * positions,
    )


def dense_weights(input_values: int, output_values: int) -> int:
    """Weights of a layer that connects everything with everything.

    >>> pixels = 224 * 224 * 3
    >>> f"{dense_weights(pixels, pixels):,}"
    '22,658,678,784'
    """
    return input_values * output_values


def chain_bytes(layers: Iterable[Cost], itemsize: int = 4) -> tuple[int, int]:
    """Activation bytes of layers in a row, for one sample: (in training, at inference).

    Training keeps the input of every layer and the last output; inference needs one layer's input and output at a
    time.

    >>> chain_bytes([linear_cost(400, 120), linear_cost(120, 84)])
    (2416, 2080)
    """
    costs = list(layers)
    kept = sum(cost.training_bytes(itemsize) for cost in costs) + (costs[-1].output_values * itemsize if costs else 0)
    return kept, max((cost.inference_bytes(itemsize) for cost in costs), default=0)


def kernel_cost(
    in_channels: int,
    out_channels: int,
    kernel_size: Sequence[int],
    input_size: Sequence[int],
    output_size: Sequence[int],
    groups: int,
    bias: bool,
    positions: int,
) -> Cost:
    """The cost of a kernel whose every weight is used once at each of `positions`."""
    check_geometry(in_channels=in_channels, out_channels=out_channels, groups=groups)
    for name, sizes in (("kernel_size", kernel_size), ("input_size", input_size), ("output_size", output_size)):
        for size in sizes:
            check_geometry(**{name: size})
    if in_channels % groups or out_channels % groups:
        raise GeometryError(
            "groups must divide in_channels and out_channels.",
            received=f"in_channels={in_channels}, out_channels={out_channels}, groups={groups}",
            fix="Use a common divisor of both, or groups=1.",
        )
    if not len(kernel_size) == len(input_size) == len(output_size):
        raise GeometryError(
            "Kernel and sizes must have the same number of dimensions.",
            received=f"kernel_size={tuple(kernel_size)}, input_size={tuple(input_size)}, output_size="
            f"{tuple(output_size)}",
        )
    weights = out_channels * (in_channels // groups) * prod(kernel_size)
    return Cost(
        weights=weights,
        biases=out_channels if bias else 0,
        macs=weights * positions,
        bias_adds=out_channels * prod(output_size) if bias else 0,
        input_values=in_channels * prod(input_size),
        output_values=out_channels * prod(output_size),
    )
