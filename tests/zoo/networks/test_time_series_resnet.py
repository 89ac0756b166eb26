import pytest
import torch
import torch.nn.functional as F
from torch import nn

import neocog
from neocog.zoo.networks.time_series_resnet import TimeSeriesResNet


@pytest.mark.parametrize(("in_channels", "num_classes"), [(1, 2), (3, 25)])
def test_parameters_by_formula(in_channels, num_classes):
    with torch.device("meta"):
        model = TimeSeriesResNet(in_channels=in_channels, num_classes=num_classes)
    count = 129 * num_classes
    for c_in, c_out in ((in_channels, 64), (64, 128), (128, 128)):
        count += 8 * c_in * c_out + (5 + 3) * c_out**2 + 4 * 2 * c_out  # three convolutions, four norms
        count += c_in * c_out if c_in != c_out else 0
    assert sum(p.numel() for p in model.parameters()) == count


def norm(series):
    return F.batch_norm(series, None, None, training=True)


def test_forward_is_the_formula_of_the_paper():
    torch.manual_seed(0)
    model = TimeSeriesResNet(in_channels=2)
    weights = iter([layer.weight for layer in model.modules() if isinstance(layer, nn.Conv1d)])
    series = x = torch.randn(4, 2, 30)
    for widens in (True, True, False):
        maps = norm(F.conv1d(F.pad(x, (3, 4)), next(weights))).relu()
        maps = norm(F.conv1d(maps, next(weights), padding=2)).relu()
        maps = norm(F.conv1d(maps, next(weights), padding=1))
        x = (maps + norm(F.conv1d(x, next(weights)) if widens else x)).relu()
    torch.testing.assert_close(model(series), F.linear(x.mean(2), model.head[2].weight, model.head[2].bias))


@pytest.mark.parametrize("length", [1, 4, 150])
def test_series_of_any_length(length):
    model = TimeSeriesResNet(in_channels=2, num_classes=5)
    series = torch.randn(3, 2, length)
    assert model(series).shape == (3, 5)
    assert [maps.shape[1:] for maps in model.features(series)] == [(64, length), (128, length), (128, length)]


def test_receptive_field():
    """Each block adds 7 + 4 + 2."""
    with torch.device("meta"):
        plan = neocog.plan(TimeSeriesResNet(), (1, 150))
    assert [plan.row(f"stages.{i}.relu").receptive_field for i in range(3)] == [(14,), (27,), (40,)]
