import copy
import itertools

import pytest
import torch
from torch import nn

from neocog.tasks import Classification
from neocog.training.convolutions import PackedGradients
from neocog.training.convolutions.mode import ConvSettings
from neocog.training.convolutions.packed import packed_gradient
from neocog.training.executor import StepExecutor
from neocog.training.speed import PLAIN, Candidate

CPU = torch.device("cpu")
FAST = Candidate("bf16", channels_last=True)
TASK = Classification(("a", "b", "c"))
GEOMETRIES = [
    ConvSettings((stride, stride), (padding, padding), (dilation, dilation))
    for stride, padding, dilation in itertools.product((1, 2, 3), (0, 1, 2), (1, 2))
]


@pytest.fixture
def tiles(monkeypatch):
    """As on a CPU that has tile instructions."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)


def drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (3, 3), (2, 5)])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_packed_weight_gradient_equals_torch(size, geometry):
    for n, (height, width) in itertools.product((1, 7, 40), ((9, 9), (10, 12), (13, 11))):
        maps, weight = drawn(n, 3, height, width), drawn(5, 3, *size).requires_grad_()
        out = torch.conv2d(maps, weight, None, *geometry)
        upstream = drawn(*out.shape)
        (expected,) = torch.autograd.grad(out, weight, upstream)
        torch.testing.assert_close(packed_gradient(upstream, maps, weight, geometry), expected, rtol=1e-11, atol=1e-11)


def test_wide_maps_and_geometries_of_two_kinds_are_right_too():
    geometry = ConvSettings((1, 2), (0, 3), (2, 1))
    maps, weight = drawn(3, 2, 9, 100), drawn(4, 2, 2, 7).requires_grad_()
    out = torch.conv2d(maps, weight, None, *geometry)
    upstream = drawn(*out.shape)
    (expected,) = torch.autograd.grad(out, weight, upstream)
    torch.testing.assert_close(packed_gradient(upstream, maps, weight, geometry), expected, rtol=1e-11, atol=1e-11)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),  # wide
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding="same"),
        nn.Conv2d(16, 16, 3, padding=1, groups=4),
        nn.Conv2d(16, 24, 1, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 3),
    )


def gradients(model, images, labels, chosen):
    model = copy.deepcopy(model)
    executor = StepExecutor(model, TASK.loss, chosen, CPU)
    loss, _ = executor.forward(images, labels)
    executor.backward(loss)
    return loss.item(), [weight.grad for weight in model.parameters()], loss


def nodes(loss):
    seen, todo = set(), [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [below for below, _ in node.next_functions]
    return sorted(node.name() for node in seen if "Convolution" in node.name())


def test_bf16_step_packs_narrow_maps_on_a_cpu_with_tiles(monkeypatch):
    images, labels = torch.randn(20, 3, 16, 16), torch.arange(20) % 3
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    loss, found, graph = gradients(network(), images, labels, FAST)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    plain, expected, plain_graph = gradients(network(), images, labels, FAST)
    assert nodes(graph) == ["ConvolutionBackward"] * 3 + ["ConvolutionBackward0"] * 2
    assert nodes(plain_graph) == ["ConvolutionBackward0"] * 5
    assert loss == plain
    for mine, own in zip(found, expected, strict=True):
        assert mine.dtype == torch.float32
        assert (mine - own).norm() < 5e-3 * own.norm()


@pytest.mark.parametrize("chosen", [PLAIN, Candidate("fp32", channels_last=True), Candidate("bf16")])
def test_other_arithmetic_is_left_alone(tiles, chosen):
    _, _, graph = gradients(network(), torch.randn(4, 3, 16, 16), torch.arange(4) % 3, chosen)
    assert "ConvolutionBackward" not in nodes(graph)


def test_frozen_filters_and_measuring_are_left_alone(tiles):
    model = network().to(memory_format=torch.channels_last).requires_grad_(False)
    images = torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16), PackedGradients():
        assert "ConvolutionBackward" not in nodes(model(images).sum())
        with torch.no_grad():
            torch.testing.assert_close(model(images), model(images))


def test_the_gradient_of_inputs_and_biases_is_there_only_where_it_is_needed(tiles):
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, 3, padding=1).to(memory_format=torch.channels_last)
    images = torch.randn(5, 4, 6, 6).contiguous(memory_format=torch.channels_last)
    for needs_bias, needs_images in itertools.product((False, True), repeat=2):
        conv.zero_grad()
        conv.bias.requires_grad_(needs_bias)
        inputs = images.clone().requires_grad_(needs_images)
        with torch.autocast("cpu", torch.bfloat16), PackedGradients():
            maps = conv(inputs)
        maps.float().square().sum().backward()
        own = images.clone().requires_grad_()
        expected = torch.autograd.grad(conv.requires_grad_()(own).square().sum(), [conv.weight, conv.bias, own])
        found = [conv.weight.grad, conv.bias.grad, inputs.grad]
        assert [tensor is not None for tensor in found] == [True, needs_bias, needs_images]
        for mine, right in zip(found, expected, strict=True):
            assert mine is None or (mine - right).norm() < 0.02 * right.norm()


def test_a_gradient_of_a_gradient_is_refused(tiles):
    conv = nn.Conv2d(4, 8, 3, padding=1).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16), PackedGradients():
        maps = conv(torch.randn(5, 4, 6, 6).contiguous(memory_format=torch.channels_last))
    (once,) = torch.autograd.grad(maps.square().sum(), conv.weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        once.sum().backward()
