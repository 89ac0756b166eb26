import pytest
import torch
import torch.nn.functional as F
from torch import nn

import neocog
from neocog.errors import GeometryError
from neocog.zoo.networks.speech_cnn import SpeechCNN


def on_meta(**options):
    with torch.device("meta"):
        return SpeechCNN(**options)


def test_weights_and_products_of_the_papers_table():
    """Table 1 counts weights without biases, here in thousands. It prints 164.8 for the second convolution, but its
    sum of 244.2 holds only with 163.8, which is 10 * 4 * 64 * 64."""
    model = on_meta(num_classes=4)
    weights = [layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert [round(count / 1000, 1) for count in weights] == [10.2, 163.8, 65.5, 4.1, 0.5]
    assert round(sum(weights) / 1000, 1) == 244.2
    plan = neocog.plan(model, (1, 32, 40))
    assert [round(plan.row(name).macs / 1e6, 1) for name in ("stem.0", "stages.0.0")] == [4.4, 5.2]
    assert round(plan.macs / 1e6, 1) == 9.7


def test_parameters_for_the_twelve_classes_of_speech_commands():
    assert sum(p.numel() for p in on_meta().parameters()) == 245_516


def test_forward_pools_along_frequency_and_has_a_linear_layer_without_activation():
    model = SpeechCNN()
    first, second, low, dense, last = (layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
    spectrograms = torch.randn(2, 1, 32, 40)
    maps = F.max_pool2d(F.conv2d(spectrograms, first.weight, first.bias).relu(), (1, 3))
    maps = F.conv2d(maps, second.weight, second.bias).relu()
    hidden = F.linear(F.linear(maps.flatten(1), low.weight), dense.weight, dense.bias).relu()
    torch.testing.assert_close(model(spectrograms), F.linear(hidden, last.weight, last.bias))


def test_receptive_field():
    """In time 20 + 9 of 32 frames; in frequency 8, a pooling of 3, and 3 places more that are 3 bands apart."""
    row = neocog.plan(on_meta(), (1, 32, 40)).row("stages.0.1")
    assert (row.receptive_field, row.stride, row.output_shape) == ((29, 8 + 2 + 9), (1, 3), (64, 4, 8))


@pytest.mark.parametrize(("frames", "in_channels", "num_classes"), [(29, 1, 12), (32, 3, 4), (101, 1, 35)])
def test_other_sizes(frames, in_channels, num_classes):
    model = SpeechCNN(frames=frames, in_channels=in_channels, num_classes=num_classes)
    spectrograms = torch.randn(2, in_channels, frames, 40)
    assert model(spectrograms).shape == (2, num_classes)
    assert [maps.shape for maps in model.features(spectrograms)] == [(2, 64, frames - 28, 8)]


def test_too_few_frames_are_refused():
    with pytest.raises(GeometryError, match=r"span 29 frames. Received: frames=28"):
        SpeechCNN(frames=28)
    with pytest.raises(GeometryError, match=r"head\.1"):
        neocog.plan(on_meta(), (1, 101, 40))
