import pytest
import torch
import torch.nn.functional as F

from neocog.zoo.networks.spectrum_cnn import SpectrumCNN, WithNormalised


@pytest.mark.parametrize(("in_channels", "num_classes"), [(1, 1), (3, 5)])
def test_parameters_by_formula(in_channels, num_classes):
    with torch.device("meta"):
        model = SpectrumCNN(in_channels=in_channels, num_classes=num_classes)
    convolutions = 9 * 2 * in_channels * 16 + 16 + 9 * 16 * 16 + 16
    dense = (16 * 32 + 1) * 64 + 65 * num_classes
    assert sum(p.numel() for p in model.parameters()) == convolutions + dense


@pytest.mark.parametrize("length", [2, 7, 33, 100, 501])
def test_signals_of_any_length(length):
    assert SpectrumCNN(num_classes=3)(torch.randn(2, 1, length)).shape == (2, 3)


def test_second_copy_is_normalised_as_torch_does():
    signals = 3 + 5 * torch.randn(4, 2, 50)
    found = WithNormalised()(signals)
    torch.testing.assert_close(found[:, :2], signals)
    torch.testing.assert_close(found[:, 2:], F.instance_norm(signals), rtol=1e-4, atol=1e-5)


def test_places_are_told_apart():
    """A network that averages over time would give both the same number."""
    torch.manual_seed(0)
    left, right = torch.zeros(1, 1, 100), torch.zeros(1, 1, 100)
    left[..., 20:25] = right[..., 70:75] = 1
    model = SpectrumCNN()
    assert (model(left) - model(right)).abs().item() > 1e-3
