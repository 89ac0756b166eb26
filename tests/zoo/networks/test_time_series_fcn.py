import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import neocog
from neocog.zoo.networks.time_series_fcn import TimeSeriesFCN, same_conv


@pytest.mark.parametrize(("in_channels", "num_classes"), [(1, 2), (3, 25)])
def test_parameters_by_formula(in_channels, num_classes):
    with torch.device("meta"):
        model = TimeSeriesFCN(in_channels=in_channels, num_classes=num_classes)
    weights = 8 * in_channels * 128 + 5 * 128 * 256 + 3 * 256 * 128
    norms, dense = 2 * (128 + 256 + 128), 129 * num_classes
    assert sum(p.numel() for p in model.parameters()) == weights + norms + dense


@pytest.mark.parametrize("size", [1, 2, 3, 8, 40])
def test_same_conv_pads_as_torch_does(size):
    conv = same_conv(2, 3, size)
    series = torch.randn(2, 2, 17)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the copy that torch makes for even kernels
        expected = F.conv1d(series, conv[1].weight, padding="same")
    torch.testing.assert_close(conv(series), expected)


def test_same_conv_leans_to_the_left():
    """An even kernel has no middle: 3 of 8 taps stand before the place, 4 behind it."""
    conv = same_conv(1, 1, 8)
    nn.init.ones_(conv[1].weight)
    impulse = F.one_hot(torch.tensor([[10]]), 20).float()
    assert conv(impulse)[0, 0].nonzero().flatten().tolist() == list(range(10 - 4, 10 + 3 + 1))


@pytest.mark.parametrize("length", [1, 2, 7, 150])
def test_series_of_any_length(length):
    model = TimeSeriesFCN(in_channels=2, num_classes=5)
    series = torch.randn(3, 2, length)
    assert model(series).shape == (3, 5)
    assert [maps.shape for maps in model.features(series)] == [(3, 256, length), (3, 128, length)]


def test_receptive_field():
    with torch.device("meta"):
        row = neocog.plan(TimeSeriesFCN(), (1, 150)).row("stages.1.1")
    assert (row.receptive_field, row.stride) == ((8 + 4 + 2,), (1,))


def test_forward_is_three_normalised_convolutions_and_an_average():
    model = TimeSeriesFCN()
    series = maps = torch.randn(4, 1, 30)
    convs = [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv1d)]
    for weight, around in zip(convs, ((3, 4), (2, 2), (1, 1)), strict=True):
        maps = F.batch_norm(F.conv1d(F.pad(maps, around), weight), None, None, training=True).relu()
    torch.testing.assert_close(model(series), F.linear(maps.mean(2), model.head[2].weight, model.head[2].bias))


def test_first_weights_are_uniform_within_glorots_bound():
    weight = TimeSeriesFCN().stages[0][0][0][1].weight
    bound = (6 / (5 * 128 + 5 * 256)) ** 0.5
    assert 0.99 * bound < weight.abs().max() <= bound
