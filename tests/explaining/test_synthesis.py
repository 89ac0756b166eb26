"""Inputs made by gradient ascent."""

import numpy as np
import pytest
import torch
from torch import nn

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.synthesis import frequency_weights, moved, synthesise
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.tasks.target import Target
from neocog.zoo.networks.text_cnn import TextCNN
from tests.support.explained import branched


@pytest.mark.parametrize("natural", [True, False])
@pytest.mark.parametrize("shape", [(2, 12), (1, 9, 12)])
def test_target_rises_for_signals_and_images(shape, natural):
    torch.manual_seed(0)
    conv = nn.Conv1d(2, 4, 3) if len(shape) == 2 else nn.Conv2d(1, 4, 3)
    flat = torch.zeros(1, *shape)
    net = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    net(flat)
    explainer = Explainer(net, shape)
    found = synthesise(explainer, Target("1", 1), steps=30, natural=natural)
    assert found.value_after > found.value_before + 0.5
    assert found.value_after == pytest.approx(float(explainer.outputs(found.inputs)[0, 1]), abs=1e-5)
    assert found.inputs.shape == (1, *shape) and torch.equal(found.decoded, found.inputs[0])
    again = synthesise(explainer, Target("1", 1), steps=30, natural=natural)
    assert torch.equal(found.inputs, again.inputs)
    other = synthesise(explainer, Target("1", 1), steps=30, natural=natural, seed=1)
    assert not torch.equal(found.inputs, other.inputs)


def test_filter_finds_its_own_pattern():
    conv = nn.Conv2d(1, 1, 8, stride=8, bias=False)
    pattern = torch.zeros(8, 8)
    pattern[:4] = 1
    pattern[4:] = -1
    with torch.no_grad():
        conv.weight[0, 0] = pattern
    net = nn.Sequential(conv, nn.Flatten(), nn.Linear(1, 1))
    explainer = Explainer(net, (1, 8, 8))
    found = synthesise(explainer, ("0", 0), steps=100, jitter=0)
    similarity = np.corrcoef(found.inputs.flatten(), pattern.flatten())[0, 1]
    assert similarity > 0.85 and found.value_after > 5
    assert found.value_before == pytest.approx(0, abs=1)


def test_image_stays_within_the_range_of_pixels():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 2))
    spec = ImagePreprocess(size=(8, 8), channels=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.2))
    found = synthesise(Explainer(net, (3, 8, 8), preprocess=spec), Target("0", 0), steps=40)
    assert found.decoded.dtype == torch.uint8 and found.decoded.shape == (3, 8, 8)
    assert (spec.normalise(found.decoded[None]) - found.inputs).abs().max() < 0.5 / 255 / 0.2 + 1e-5
    assert found.decoded.float().std() > 20


def test_jitter_moves_there_and_back():
    inputs = torch.arange(24.0).view(1, 1, 4, 6)
    there = moved(inputs, [2, 3], 0, 5)
    assert torch.equal(moved(there, [2, 3], 0, 5, back=True), inputs)
    assert any(not torch.equal(moved(inputs, [2, 3], 0, step), inputs) for step in range(5))


def test_weights_fall_with_frequency():
    weights = frequency_weights((8, 8))
    assert weights.shape == (8, 5) and float(weights.square().mean()) == pytest.approx(1)
    assert weights[0, 1] / weights[0, 2] == pytest.approx(2) and weights[0, 0] == weights[0, 1]


def test_tokens_and_boards_are_refused():
    text = Explainer(TextCNN(in_channels=30, vector_size=4), (6,), dtype=torch.int64)
    with pytest.raises(
        ConfigError, match=r"images, signals and sounds.*Received: a network of tokens\. Look at the pat"
    ):
        synthesise(text, Target("0", 0))
    board = nn.Sequential(nn.Conv2d(17, 1, 1), nn.Flatten())
    spec = BoardPreprocess(features="zero17", size=5)
    with pytest.raises(ConfigError, match="a network of boards"):
        synthesise(Explainer(board, spec.shape, preprocess=spec), Target("0", 0))


def test_channel_that_the_layer_lacks_is_refused():
    explainer = Explainer(branched(), (2, 8, 8))
    with pytest.raises(ConfigError, match=r"first has the channels 0 to 3\. Received: channel 4"):
        synthesise(explainer, (explainer.layers["first"], 4))
