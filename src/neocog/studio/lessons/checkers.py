"""The closed list of functions by which claims and answers are computed; some are Neocog's own, the rest are here."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import nn

from neocog import arithmetic, reference
from neocog.arithmetic import Window
from neocog.evaluation.intervals import wilson
from neocog.evaluation.paired import mcnemar
from neocog.layers.initialization import fans
from neocog.planning import plan
from neocog.zoo import model_info
from neocog.zoo.figures import read_figures

__all__ = ["CHECKERS", "Checker"]

HOME = "neocog.studio.lessons.checkers"
Layers = Sequence[Mapping[str, int]]
"""Layers along an axis: kernel_size, stride, padding, dilation of each."""


def conv_parameters(in_channels: int, out_channels: int, kernel_size: int, groups: int = 1, bias: bool = True) -> int:
    """Weights and biases of a 2-D convolution with a square kernel."""
    size = (kernel_size, kernel_size)
    cost = arithmetic.conv_cost(in_channels, out_channels, size, size, (1, 1), groups=groups, bias=bias)
    return cost.parameters


def conv_macs(in_channels: int, out_channels: int, kernel_size: int, output_size: int, groups: int = 1) -> int:
    """Multiply-accumulates of a 2-D convolution for a square output."""
    out, kernel = (output_size, output_size), (kernel_size, kernel_size)
    return arithmetic.conv_cost(in_channels, out_channels, kernel, out, out, groups=groups).macs


def linear_parameters(in_features: int, out_features: int, bias: bool = True) -> int:
    """Weights and biases of a dense layer."""
    return arithmetic.linear_cost(in_features, out_features, bias=bias).parameters


def chain_output(size: int, layers: Layers) -> int:
    """The size behind several convolutions or poolings."""
    for layer in layers:
        size = arithmetic.conv_output(size, **layer)
    return size


def chain_window(layers: Layers) -> Window:
    window = Window()
    for layer in layers:
        window = window.through(**layer)
    return window


def receptive_field(layers: Layers) -> int | Fraction:
    """The receptive field behind several layers, along an axis."""
    return chain_window(layers).size


def layers_needed(field: int, kernel_size: int) -> int:
    """How many layers with this kernel and stride 1 it takes to see that many samples."""
    layers: list[dict[str, int]] = []
    while receptive_field(layers) < field:
        layers.append({"kernel_size": kernel_size})
    return len(layers)


def field_stride(layers: Layers) -> int | Fraction:
    """Input samples between neighbouring units behind several layers."""
    return chain_window(layers).stride


def receptive_box(layers: Layers, unit: int) -> tuple[int, int]:
    """The first and the last input sample that a unit behind several layers sees."""
    return chain_window(layers).box(unit)


def fit_unread(size: int, kernel_size: int, stride: int, padding: int = 0) -> tuple[int, ...]:
    """The input samples that no window reads."""
    return arithmetic.fit(size, kernel_size, stride, padding).unread


def fit_sizes(size: int, kernel_size: int, stride: int, padding: int = 0) -> tuple[int, ...]:
    """The nearest input sizes at which the stride ends exactly."""
    return arithmetic.fit(size, kernel_size, stride, padding).sizes


def as_maps(values: Any) -> Any:
    """One map of one sample: (L,) or (H, W) -> (1, 1, ...)."""
    return np.asarray(values, np.float64)[None, None]


def correlate(x: Any, w: Any, bias: float = 0.0, stride: int = 1, padding: Any = 0, dilation: int = 1) -> Any:
    """Cross-correlation of one map with one kernel, as deep learning calls convolution; (H, W), (k, k)."""
    found = reference.cross_correlate(as_maps(x), as_maps(w), [bias], stride=stride, padding=padding, dilation=dilation)
    return found[0, 0]


def convolve(x: Any, w: Any, padding: Any = 0) -> Any:
    """Convolution of one map with one kernel, which flips the kernel first."""
    return reference.convolve(as_maps(x), as_maps(w), padding=padding)[0, 0]


def channels_sum(x: Any, w: Any) -> Any:
    """One output map of a layer with several input channels; (C, H, W), (C, k, k) -> (H', W')."""
    return reference.cross_correlate(np.asarray(x, np.float64)[None], np.asarray(w, np.float64)[None])[0, 0]


def flip_difference(seed: int = 0) -> float:
    """The largest difference between convolution and cross-correlation with the rotated kernel, on random numbers."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(1, 1, 9, 9)), rng.normal(size=(1, 1, 3, 3))
    return float(abs(reference.convolve(x, w) - reference.cross_correlate(x, reference.rotate(w))).max())


def commutes(operation: str, seed: int = 0) -> bool:
    """Whether image and kernel may change places: convolve or cross_correlate, where every overlap counts."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(1, 1, 9, 9)), rng.normal(size=(1, 1, 3, 3))
    function = {"convolve": reference.convolve, "cross_correlate": reference.cross_correlate}[operation]
    return bool(np.allclose(function(x, w, padding="full"), function(w, x, padding="full")))


def shift_difference(down: int = 1, right: int = 2, seed: int = 0) -> float:
    """The largest difference between the map of a moved image and the moved map, where both see the same pixels."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(1, 1, 9, 9)), rng.normal(size=(1, 1, 3, 3))
    before, after = (reference.cross_correlate(each, w)[0, 0] for each in (x, np.roll(x, (down, right), axis=(2, 3))))
    return float(abs(after[down:, right:] - before[: len(before) - down, : before.shape[1] - right]).max())


def kernel_sum(name: str) -> float:
    """The sum of the weights of a named kernel."""
    return float(reference.kernel(name).sum())


def matrix_shape(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> tuple[int, int]:
    """Rows and columns of the matrix that a convolution of a square map is."""
    found = reference.toeplitz(as_maps(np.ones((kernel_size, kernel_size))), (1, size, size), stride, padding)
    return found.shape[0], found.shape[1]


def matrix_entries(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    """The entries of that matrix that may differ from 0."""
    found = reference.toeplitz(as_maps(np.ones((kernel_size, kernel_size))), (1, size, size), stride, padding)
    return int(found.nnz)


def max_pool(x: Any, size: int, stride: int | None = None) -> Any:
    """Max pooling of one map."""
    return reference.max_pool(as_maps(x), size, stride)[0][0, 0]


def avg_pool(x: Any, size: int, stride: int | None = None) -> Any:
    """Average pooling of one map."""
    return reference.avg_pool(as_maps(x), size, stride)[0, 0]


def global_avg_pool(x: Any) -> float:
    """The mean of one map."""
    return float(reference.global_avg_pool(as_maps(x)).ravel()[0])


def max_pool_gradient(x: Any, delta: Any, size: int, stride: int | None = None) -> Any:
    """The gradient by the input of a max pooling, given that by its output."""
    inputs = as_maps(x)
    _, winners = reference.max_pool(inputs, size, stride)
    return reference.max_pool_backward(as_maps(delta), winners, inputs.shape)[0, 0]


def avg_pool_gradient(x: Any, delta: Any, size: int, stride: int | None = None) -> Any:
    """The gradient by the input of an average pooling."""
    return reference.avg_pool_backward(as_maps(delta), as_maps(x).shape, size, stride)[0, 0]


def unpool(x: Any, size: int) -> Any:
    """Max pooling, and each maximum back at the place that won, zeros elsewhere: the switches of the deconvnet."""
    inputs = as_maps(x)
    pooled, winners = reference.max_pool(inputs, size)
    return reference.unpool(pooled, winners, inputs.shape[2:])[0, 0]


def input_gradient(x: Any, w: Any, delta: Any, stride: int = 1, padding: int = 0) -> Any:
    """The gradient by the input of a convolution, given that by its output."""
    found = reference.cross_correlate_backward(as_maps(delta), as_maps(x), as_maps(w), stride, padding)
    return found[0][0, 0]


def weight_gradient(x: Any, w: Any, delta: Any, stride: int = 1, padding: int = 0) -> Any:
    """The gradient by the weights of a convolution."""
    found = reference.cross_correlate_backward(as_maps(delta), as_maps(x), as_maps(w), stride, padding)
    return found[1][0, 0]


def gradient_error(step: float = 1e-5, seed: int = 0) -> float:
    """The largest difference between the gradient by a kernel's weights and finite differences of the loss."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(1, 1, 8, 8)), rng.normal(size=(1, 1, 3, 3))

    def loss(kernel: Any) -> float:
        return 0.5 * float((reference.cross_correlate(x, kernel, stride=2, padding=1) ** 2).sum())

    delta = reference.cross_correlate(x, w, stride=2, padding=1)
    exact = reference.cross_correlate_backward(delta, x, w, stride=2, padding=1)[1]
    found = np.zeros_like(w)
    for place in np.ndindex(*w.shape):
        nudge = np.zeros_like(w)
        nudge[place] = step
        found[place] = (loss(w + nudge) - loss(w - nudge)) / (2 * step)
    return float(abs(found - exact).max())


def power(base: float, exponent: int) -> float:
    """base ** exponent: the same factor in each of several layers or steps."""
    return float(np.prod(np.full(exponent, base, np.float64)))


def sigmoid_slope(x: float) -> float:
    """The derivative of the sigmoid."""
    return float(reference.sigmoid_backward([1.0], [x])[0])


def tanh_slope(x: float) -> float:
    """The derivative of the hyperbolic tangent."""
    return float(reference.tanh_backward([1.0], [x])[0])


def relu_gradient(x: Any, delta: Any) -> Any:
    """The gradient by the input of a ReLU."""
    return reference.relu_backward(delta, x)


def fan_in(in_channels: int, kernel_size: int) -> int:
    """How many values one output of a convolution is made of."""
    return fans(nn.Conv2d(in_channels, 1, kernel_size, device="meta"))[0]


def he_std(in_channels: int, kernel_size: int) -> float:
    """The standard deviation of first weights before a ReLU, so that the size of the signal stays: sqrt(2 / fan_in)."""
    return math.sqrt(2 / fan_in(in_channels, kernel_size))


def glorot_std(in_features: int, out_features: int) -> float:
    """That of a dense layer after Glorot & Bengio: sqrt(2 / (fan_in + fan_out))."""
    return math.sqrt(2 / sum(fans(nn.Linear(in_features, out_features, device="meta"))))


def signal_gain(std: float, in_channels: int, kernel_size: int) -> float:
    """The factor by which a convolution with first weights of this deviation and a ReLU scales the signal."""
    return std / he_std(in_channels, kernel_size)


def batch_norm(x: Sequence[float], gamma: float = 1.0, beta: float = 0.0) -> Any:
    """Batch normalisation of one channel in training, with eps 0."""
    values = np.asarray(x, np.float64)[:, None]
    return reference.batch_norm(values, [gamma], [beta], eps=0.0)[0][:, 0]


def running_mean(x: Sequence[float], momentum: float = 0.1) -> float:
    """The running mean after one batch, from 0."""
    values = np.asarray(x, np.float64)[:, None]
    return float(reference.batch_norm(values, [1.0], [0.0], momentum=momentum)[1].mean[0])


def batch_norm_gradient_sum(seed: int = 0) -> float:
    """The sum of the gradient by the inputs of a batch normalisation, for random inputs and deltas."""
    rng = np.random.default_rng(seed)
    x, delta = rng.normal(size=(8, 1)), rng.normal(size=(8, 1))
    return float(reference.batch_norm_backward(delta, x, [1.5])[0].sum())


def dropout_values(p: float) -> list[float]:
    """The values that ones can have after dropout."""
    y, _ = reference.dropout(np.ones((4, 64)), p, seed=0)
    return sorted(set(y.ravel().tolist()))


def sgd_step(w: Any, g: Any, lr: float) -> Any:
    """Weights after one step of gradient descent."""
    return reference.sgd(w, g, lr)


def wilson_interval(hits: int, num: int) -> tuple[float, float]:
    """The interval of a share, 95%, rounded to a tenth of a percentage point."""
    found = wilson(hits, num)
    return round(found.low, 3), round(found.high, 3)


def mcnemar_p(only_a: int, only_b: int) -> float:
    """McNemar's exact test of two classifiers, by the samples that only one of them gets right."""
    a = np.array([True] * only_a + [False] * only_b)
    return mcnemar(a, ~a).p_value


def zoo_parameters(name: str) -> int:
    """The parameters of a network of the zoo."""
    return read_figures()[name].parameters


def zoo_macs(name: str) -> int:
    """The multiply-accumulates of a network of the zoo for one input."""
    return read_figures()[name].macs


def zoo_field(name: str) -> int | None:
    """The receptive field behind the stages of a network of the zoo."""
    return read_figures()[name].receptive_field


def zoo_year(name: str) -> int:
    """The year of a network's paper."""
    return model_info(name).year


def dilated_stack(count: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=dilation, dilation=dilation) for _ in range(count)))


def support_count(count: int, dilation: int, unit: int, size: int = 21) -> int:
    """The pixels that the unit (unit, unit) of 3x3 convolutions with this dilation really depends on."""
    found = plan(dilated_stack(count, dilation), (1, size, size))
    return int(found.support(found.rows[-1], (unit, unit)).sum())


def path_counts(layers: int) -> Any:
    """In how many ways each input sample reaches a unit behind 3-wide layers, along one axis, as shares of all."""
    found = np.ones(1)
    for _ in range(layers):
        found = reference.convolve(as_maps(found), as_maps(np.ones(3)), padding="full")[0, 0]
    return found / found.sum()


def central_share(layers: int, width: int) -> float:
    """The share of the paths that begins in the central samples of the receptive field."""
    shares = path_counts(layers)
    edge = (len(shares) - width) // 2
    return float(shares[edge : edge + width].sum())


def network_parameters(name: str, **options: Any) -> list[int]:
    """The parameters of each layer of a network of the zoo that has any, in order."""
    from neocog.zoo import create_model

    with torch.device("meta"):
        model = create_model(name, **options)
    parts = (sum(p.numel() for p in module.parameters(recurse=False)) for module in model.modules())
    return [count for count in parts if count]


@dataclass(frozen=True, slots=True)
class Checker:
    """A function that claims may use, and from where a reader imports it."""

    function: Callable[..., Any]
    module: str

    @property
    def name(self) -> str:
        return self.function.__name__


PUBLIC: tuple[tuple[str, tuple[Callable[..., Any], ...]], ...] = (
    (
        "neocog.arithmetic",
        (arithmetic.conv_output, arithmetic.pool_output, arithmetic.conv_transpose_output, arithmetic.conv_input_sizes,
         arithmetic.effective_kernel, arithmetic.same_padding, arithmetic.dense_weights),
    ),
    (
        HOME,
        (conv_parameters, conv_macs, linear_parameters, chain_output, receptive_field, layers_needed, field_stride,
         receptive_box, fit_unread, fit_sizes, correlate, convolve, channels_sum, flip_difference, commutes,
         shift_difference, kernel_sum, matrix_shape, matrix_entries, max_pool, avg_pool, global_avg_pool,
         max_pool_gradient, avg_pool_gradient, unpool, input_gradient, weight_gradient, gradient_error, power,
         sigmoid_slope, tanh_slope,
         relu_gradient, fan_in, he_std, glorot_std, signal_gain, batch_norm, running_mean, batch_norm_gradient_sum,
         dropout_values, sgd_step, wilson_interval, mcnemar_p, zoo_parameters, zoo_macs, zoo_field, zoo_year,
         support_count, central_share, network_parameters),
    ),
)  # fmt: skip
CHECKERS = {each.__name__: Checker(each, module) for module, functions in PUBLIC for each in functions}
"""All checkers by name."""
