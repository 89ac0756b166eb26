import pytest
import torch

import neocog
from neocog.zoo.networks.unet_1d import WIDTHS, UNet1d


@pytest.mark.parametrize("length", [1, 3, 64, 65, 257, 1000])
def test_every_sample_gets_logits_at_any_length(length):
    model = UNet1d(in_channels=2, num_classes=5).eval()
    signals = torch.randn(3, 2, length)
    assert model(signals).shape == (3, 5, length)
    lengths = [length]
    for _ in WIDTHS[1:]:
        lengths.append(-(-lengths[-1] // 4))
    assert [maps.shape for maps in model.features(signals)] == [
        (3, width, own) for width, own in zip(WIDTHS, lengths, strict=True)
    ]


@pytest.mark.parametrize(("in_channels", "num_classes"), [(1, 2), (3, 25)])
def test_parameters_by_formula(in_channels, num_classes):
    with torch.device("meta"):
        model = UNet1d(in_channels=in_channels, num_classes=num_classes)

    def conv(c_in, c_out):
        return 5 * c_in * c_out + c_out + 2 * c_out

    count = conv(in_channels, 32) + conv(32, 32)
    for c in (32, 64, 128):
        count += conv(c, 2 * c) + conv(2 * c, 2 * c)  # down
        count += 4 * 2 * c * c + 2 * c + conv(2 * c, c) + conv(c, c)  # up
    count += 33 * num_classes
    assert sum(p.numel() for p in model.parameters()) == count


def test_output_moves_with_the_input():
    """By the 64 samples of all poolings together."""
    torch.manual_seed(0)
    model = UNet1d().eval()
    signals = torch.zeros(1, 1, 1024)
    signals[:, :, 400:500] = torch.randn(100)
    moved = model(signals.roll(64, dims=2))
    torch.testing.assert_close(moved[:, :, 300:800], model(signals).roll(64, dims=2)[:, :, 300:800], atol=1e-4, rtol=0)


def test_plan_follows_the_network():
    with torch.device("meta"):
        plan = neocog.plan(UNet1d(), (1, 1000))
    assert plan.output_shapes == ((2, 1000),)
