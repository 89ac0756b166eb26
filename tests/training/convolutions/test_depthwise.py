import pytest
import torch
from torch.nn import functional as F

from neocog.training.convolutions import mode
from neocog.training.executor import lower_precision

CPU = torch.device("cpu")


@pytest.fixture
def types(monkeypatch):
    """The types in which gradients are computed here, and which: 0, of inputs; 1, of filters."""
    found, real = [], mode.torch_gradients

    def noting(upstream, inputs, weight, settings, wanted):
        found.append((wanted.index(True), weight.dtype))
        return real(upstream, inputs, weight, settings, wanted)

    monkeypatch.setattr(mode, "torch_gradients", noting)
    return found


def drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def gradients(maps, weight, bias, settings, upstream):
    out = F.conv2d(maps, weight, bias, **settings, groups=len(weight))
    return [out, *torch.autograd.grad(out, (maps, weight, bias), upstream.to(out.dtype))]


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2, (1, 2), 3])
@pytest.mark.parametrize("geometry", [{"padding": 1}, {"padding": (2, 0)}, {"dilation": 2}], ids=str)
def test_gradients_are_those_of_float64_but_for_rounding(size, stride, geometry, types):
    settings = {"stride": stride, **geometry}
    maps = drawn(2, 16, 12, 13).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight, bias = drawn(16, 1, size, size).requires_grad_(), drawn(16).requires_grad_()
    upstream = torch.ones_like(F.conv2d(maps, weight, bias, **settings, groups=16)) * drawn(16).view(16, 1, 1)
    expected = gradients(*(t.detach().double().requires_grad_() for t in (maps, weight, bias)), settings, upstream)
    with lower_precision("bf16", CPU):
        found = gradients(maps, weight, bias, settings, upstream)
    for ours, truth in zip(found, expected, strict=True):
        assert float((ours.detach().double() - truth.detach()).norm() / truth.detach().norm()) < 8e-3
    inputs = torch.bfloat16 if stride == 1 else torch.float32
    filters = torch.bfloat16 if size == 3 else torch.float32
    assert types == ([] if (stride, size) == (1, 3) else [(0, inputs), (1, filters)])


@pytest.mark.parametrize(
    ("stride", "groups", "layout", "precision"),
    [
        (1, 16, torch.channels_last, "bf16"),
        (2, 1, torch.channels_last, "bf16"),
        (2, 4, torch.channels_last, "bf16"),
        (2, 16, torch.contiguous_format, "bf16"),
        (2, 16, torch.channels_last, "fp32"),
    ],
)
def test_other_convolutions_are_left_to_torch(stride, groups, layout, precision, types):
    maps = drawn(2, 16, 12, 13).contiguous(memory_format=layout).requires_grad_()
    weight = drawn(16, 16 // groups, 3, 3).requires_grad_()
    with lower_precision(precision, CPU):
        F.conv2d(maps, weight, None, stride, groups=groups).sum().backward()
    assert not types
