from itertools import pairwise
from math import prod

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import neocog
from neocog.zoo.networks.speech_dscnn import speech_dscnn

VARIANTS = ("speech_dscnn_s", "speech_dscnn_m", "speech_dscnn_l")


def on_meta(variant):
    with torch.device("meta"):
        return speech_dscnn(variant)


def weighted(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


@pytest.mark.parametrize(("variant", "count"), list(zip(VARIANTS, (23_180, 136_580, 413_736), strict=True)))
def test_parameters(variant, count):
    """Scale and shift of each norm are counted, where the paper counts one bias."""
    assert sum(p.numel() for p in on_meta(variant).parameters()) == count


@pytest.mark.parametrize(
    ("variant", "kilobytes", "millions"),
    [("speech_dscnn_s", 38.6, 5.4), ("speech_dscnn_m", 189.2, 19.8), ("speech_dscnn_l", 497.6, 56.9)],
)
def test_published_memory_and_operations(variant, kilobytes, millions):
    """Bytes of weights and of one bias for each map, and of the two largest neighbouring maps; products and sums."""
    model = on_meta(variant)
    plan = neocog.plan(model, (1, 49, 10))
    weights = sum(layer.weight.numel() + len(layer.weight) for layer in weighted(model))
    maps = [prod(row.output_shape) for row in plan.rows if row.operator == "conv2d"]
    assert round((weights + max(a + b for a, b in pairwise(maps))) / 1000, 1) == kilobytes
    assert round((plan.flops + sum(maps)) / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("variant", "shapes"),
    [
        ("speech_dscnn_s", [(25, 5), (25, 5)]),
        ("speech_dscnn_m", [(25, 10), (13, 5)]),
        ("speech_dscnn_l", [(25, 10), (13, 5)]),
    ],
)
def test_shapes(variant, shapes):
    model, mfccs = on_meta(variant), torch.empty(2, 1, 49, 10, device="meta")
    assert [model.stem(mfccs).shape[2:], model.features(mfccs)[0].shape[2:]] == shapes


@pytest.mark.parametrize(("height", "width"), [(49, 10), (50, 11), (1, 1)])
def test_the_stem_pads_as_tensorflow_does(height, width):
    """TensorFlow's "SAME": as many places as stride 2 leaves of the size, the odd zero behind."""
    stem = speech_dscnn("speech_dscnn_s").stem
    mfccs = torch.randn(2, 1, height, width)
    around = []
    for size, kernel in ((width, 4), (height, 10)):
        zeros = max((-(-size // 2) - 1) * 2 + kernel - size, 0)
        around += [zeros // 2, zeros - zeros // 2]
    torch.testing.assert_close(stem[:2](mfccs), F.conv2d(F.pad(mfccs, around), stem[1].weight, stride=2))


def test_every_second_convolution_of_a_stage_works_on_single_maps():
    convs = weighted(on_meta("speech_dscnn_m").stages)
    assert [(conv.groups, conv.kernel_size) for conv in convs] == [(172, (3, 3)), (1, (1, 1))] * 4


def test_receptive_field():
    """10 x 4, then four 3x3 kernels over maps in which neighbours are 2 samples apart."""
    row = neocog.plan(on_meta("speech_dscnn_s"), (1, 49, 10)).row("stages.0.3.5")
    assert (row.receptive_field, row.stride) == ((10 + 16, 4 + 16), (2, 2))


def test_other_channels_classes_and_sizes():
    model = speech_dscnn("speech_dscnn_m", in_channels=2, num_classes=35)
    assert model(torch.randn(2, 2, 98, 40)).shape == (2, 35)
    assert model.eval()(torch.randn(1, 2, 1, 1)).shape == (1, 35)
