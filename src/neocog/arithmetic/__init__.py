"""Convolution arithmetic in whole numbers: sizes, fits, receptive fields and costs along an axis, without torch."""

from neocog.arithmetic.cost import Cost, chain_bytes, conv_cost, conv_transpose_cost, dense_weights, linear_cost
from neocog.arithmetic.field import Field
from neocog.arithmetic.fit import Fit, fit
from neocog.arithmetic.padding import Padding, effective_kernel, explicit_padding, same_padding
from neocog.arithmetic.sizes import (
    conv_input_sizes,
    conv_output,
    conv_transpose_output,
    pool_output,
    published_forms,
)
from neocog.arithmetic.taps import Taps
from neocog.arithmetic.window import Window

__all__ = [
    "Cost",
    "Field",
    "Fit",
    "Padding",
    "Taps",
    "Window",
    "chain_bytes",
    "conv_cost",
    "conv_input_sizes",
    "conv_output",
    "conv_transpose_cost",
    "conv_transpose_output",
    "dense_weights",
    "effective_kernel",
    "explicit_padding",
    "fit",
    "linear_cost",
    "pool_output",
    "published_forms",
    "same_padding",
]
