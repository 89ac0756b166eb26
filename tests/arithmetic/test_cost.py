"""Costs against torch's parameters, its dispatcher's counter, and published figures."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from neocog.arithmetic import (
    chain_bytes,
    conv_cost,
    conv_transpose_cost,
    dense_weights,
    effective_kernel,
    linear_cost,
)  # fmt: skip
from neocog.errors import GeometryError

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def measured(layer, images):
    """Parameters, FLOPs and output as torch counts them on the meta device."""
    with FlopCounterMode(display=False) as counter:
        maps = layer(images)
    return sum(p.numel() for p in layer.parameters()), counter.get_total_flops(), maps


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_convolutions_cost_what_torch_counts(dims, groups, per_in, per_out, kernel, stride, bias, transposed):
    c_in, c_out, size = groups * per_in, groups * per_out, 7
    build = (TRANSPOSED if transposed else CONVS)[dims]
    layer = build(c_in, c_out, kernel, stride, groups=groups, bias=bias, device="meta")
    parameters, flops, maps = measured(layer, torch.empty(1, c_in, *[size] * dims, device="meta"))
    rule = conv_transpose_cost if transposed else conv_cost
    cost = rule(c_in, c_out, [kernel] * dims, [size] * dims, maps.shape[2:], groups, bias)
    assert (cost.parameters, cost.flops, cost.output_values) == (parameters, flops, maps.numel())
    assert cost.bias_adds == (maps.numel() if bias else 0)
    assert cost.inference_bytes() == 4 * (c_in * size**dims + maps.numel())
    assert cost.training_bytes(itemsize=2) == 2 * c_in * size**dims


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.booleans())
def test_dense_layers_cost_what_torch_counts(c_in, c_out, positions, bias):
    layer = nn.Linear(c_in, c_out, bias=bias, device="meta")
    parameters, flops, _ = measured(layer, torch.empty(positions, c_in, device="meta"))
    cost = linear_cost(c_in, c_out, bias, positions)
    assert (cost.parameters, cost.flops) == (parameters, flops)
    assert cost.bias_adds == (c_out * positions if bias else 0)


def test_depthwise_and_pointwise_together_cost_a_ninth_or_so_of_a_full_convolution():
    """MobileNet's ratio, 1/C_out + 1/k**2 (Howard et al. 2017, section 3.1)."""
    size = (14, 14)
    full = conv_cost(512, 512, (3, 3), size, size, bias=False)
    depthwise = conv_cost(512, 512, (3, 3), size, size, groups=512, bias=False)
    pointwise = conv_cost(512, 512, (1, 1), size, size, bias=False)
    assert (depthwise.macs + pointwise.macs) / full.macs == pytest.approx(1 / 512 + 1 / 9)


def test_the_dense_layer_that_would_do_the_same_as_a_convolution():
    image = (224, 224)
    cost = conv_cost(3, 3, (3, 3), image, image, bias=False)
    assert dense_weights(cost.input_values, cost.output_values) == 22_658_678_784
    assert cost.dense_ratio * 81 == 22_658_678_784


def test_a_chain_keeps_all_inputs_to_train_and_one_layer_to_infer():
    layers = [linear_cost(400, 120), linear_cost(120, 84), linear_cost(84, 10)]
    assert chain_bytes(layers) == (4 * (400 + 120 + 84 + 10), 4 * (400 + 120))
    assert chain_bytes([]) == (0, 0)
    assert effective_kernel(1, dilation=7) == 1


def test_costs_that_have_no_meaning_are_refused():
    with pytest.raises(GeometryError, match=r"in_channels must be a whole number of at least 1. Received: -3."):
        conv_cost(-3, 4, (3,), (5,), (3,))
    with pytest.raises(GeometryError, match=r"groups must be a whole number of at least 1. Received: 2.0."):
        conv_cost(4, 4, (3,), (5,), (3,), groups=2.0)
    with pytest.raises(GeometryError, match=r"in_features must be a whole number of at least 1. Received: 0."):
        linear_cost(0, 5)
    with pytest.raises(GeometryError, match=r"groups must divide in_channels and out_channels. Received: "
                       r"in_channels=6, out_channels=8, groups=4. Use a common divisor"):  # fmt: skip
        conv_cost(6, 8, (3, 3), (8, 8), (6, 6), groups=4)
    with pytest.raises(GeometryError, match=r"the same number of dimensions. Received: kernel_size=\(3,\)"):
        conv_transpose_cost(6, 8, (3,), (8, 8), (6, 6))
