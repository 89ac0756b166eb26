import pytest
import torch
import torch.nn.functional as F

import neocog
from neocog.errors import GeometryError
from neocog.zoo.networks.mnist1d import mnist1d


@pytest.mark.parametrize(
    ("variant", "layers", "total"),
    [("mnist1d_prince", [60, 690, 690, 610], 2050), ("mnist1d_greydanus", [150, 1900, 1900, 1260], 5210)],
)
def test_published_parameter_counts(variant, layers, total):
    model = mnist1d(variant)
    parts = [model.stem, *model.stages, model.head]
    assert [sum(p.numel() for p in part.parameters()) for part in parts] == layers
    assert sum(layers) == total


@pytest.mark.parametrize(
    ("variant", "shapes"),
    [("mnist1d_prince", [(15, 9), (15, 4)]), ("mnist1d_greydanus", [(25, 10), (25, 5)])],
)
def test_features_halve_the_signal(variant, shapes):
    model = mnist1d(variant, in_channels=3, num_classes=4)
    signals = torch.randn(2, 3, 40)
    assert [maps.shape[1:] for maps in model.features(signals)] == shapes
    assert model(signals).shape == (2, 4)


def test_forward_is_three_convolutions_and_a_dense_layer():
    model = mnist1d("mnist1d_greydanus")
    values = list(model.parameters())
    signals = maps = torch.randn(4, 1, 40)
    for weight, bias in zip(values[0:6:2], values[1:6:2], strict=True):
        maps = F.conv1d(maps, weight, bias, stride=2, padding=1).relu()
    torch.testing.assert_close(model(signals), F.linear(maps.flatten(1), *values[6:]))


@pytest.mark.parametrize(("variant", "size"), [("mnist1d_prince", 15), ("mnist1d_greydanus", 17)])
def test_receptive_field(variant, size):
    """3 + 2 * 2 + 2 * 4 and 5 + 2 * 2 + 2 * 4: the later kernels reach 2 further, in steps of 2 and 4 samples."""
    with torch.device("meta"):
        model = mnist1d(variant)
    row = neocog.plan(model, (1, 40)).row("stages.1.1")
    assert (row.receptive_field, row.stride) == ((size,), (8,))


def test_a_signal_of_another_length_is_refused_by_the_dense_layer():
    with pytest.raises(GeometryError, match=r"head\.1"):
        neocog.plan(mnist1d("mnist1d_prince"), (1, 60))
