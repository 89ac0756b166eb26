import math

import pytest
import torch
import torch.nn.functional as F

from neocog.layers.scaled_conv import ScaledConv2d


def brute_force(conv):
    """Each filter by the formula, with a Python loop over its numbers."""
    filters = []
    for weight, gain in zip(conv.weight.detach(), conv.gain.tolist(), strict=True):
        numbers = weight.flatten().tolist()
        mean = sum(numbers) / len(numbers)
        std = math.sqrt(sum((number - mean) ** 2 for number in numbers) / len(numbers))
        scaled = [gain * (number - mean) / (math.sqrt(len(numbers)) * std) for number in numbers]
        filters.append(torch.tensor(scaled, dtype=weight.dtype).reshape(weight.shape))
    return torch.stack(filters)


@pytest.mark.parametrize("options", [{}, {"groups": 2, "stride": 2}, {"dilation": 2, "bias": False}])
def test_it_is_a_convolution_with_filters_by_the_formula(options):
    conv = ScaledConv2d(4, 6, 3, padding=1, **options).double()
    with torch.no_grad():
        conv.gain.copy_(torch.rand(6) + 0.5)
        if conv.bias is not None:
            conv.bias.normal_()
    maps = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    expected = F.conv2d(maps, brute_force(conv), conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups)
    torch.testing.assert_close(conv(maps), expected)


def test_gradients_pass_through_the_standardisation():
    conv = ScaledConv2d(2, 3, 3).double()
    parameters = [parameter.detach().requires_grad_() for parameter in conv.parameters()]
    names = [name for name, _ in conv.named_parameters()]
    maps = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)

    def run(maps, *values):
        return torch.func.functional_call(conv, dict(zip(names, values, strict=True)), maps)

    assert torch.autograd.gradcheck(run, (maps, *parameters))


def test_outputs_have_mean_zero_and_variance_one_whatever_the_mean_of_the_inputs():
    outputs = ScaledConv2d(32, 64, 3)(torch.randn(64, 32, 10, 10) + 5)
    assert outputs.mean((0, 2, 3)).abs().max() < 0.1
    assert outputs.var().item() == pytest.approx(1, rel=0.05)


def test_neither_scale_nor_shift_of_the_weights_matters():
    conv, maps = ScaledConv2d(3, 4, 3).double(), torch.randn(1, 3, 5, 5, dtype=torch.float64)
    before = conv(maps)
    with torch.no_grad():
        conv.weight.mul_(7).add_(3)
    torch.testing.assert_close(conv(maps), before)


def test_a_filter_of_equal_weights_gives_zeros_and_no_nan():
    conv = ScaledConv2d(3, 4, 3)
    torch.nn.init.ones_(conv.weight)
    outputs = conv(torch.randn(2, 3, 5, 5))
    outputs.sum().backward()
    assert not outputs.any() and conv.weight.grad.isfinite().all()


def test_a_filter_of_one_weight_is_refused():
    with pytest.raises(
        ValueError, match=r"two weights or more. Received: in_channels=4, groups=4, kernel_size=\(1, 1\)"
    ):
        ScaledConv2d(4, 4, 1, groups=4)


def test_it_is_built_on_the_meta_device_and_exported():
    with torch.device("meta"):
        assert ScaledConv2d(3, 8, 3)(torch.empty(2, 3, 8, 8)).shape == (2, 8, 6, 6)
    conv, maps = ScaledConv2d(3, 8, 3), torch.randn(2, 3, 8, 8)
    exported = torch.export.export(conv.eval(), (maps,)).module()
    torch.testing.assert_close(exported(maps), conv(maps))
