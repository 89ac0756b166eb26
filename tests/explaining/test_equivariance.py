"""Equivariance where it must hold exactly, and where it can't."""

import numpy as np
import pytest
import torch
from torch import nn

from neocog.data import AudioPreprocess, ImagePreprocess
from neocog.errors import ConfigError
from neocog.explaining.equivariance import measure
from neocog.explaining.explainer import Explainer
from neocog.explaining.input_changes import CHANGES, sample
from neocog.layers.blur_pool import BlurPool2d

SIDE = 24


@pytest.fixture(scope="module")
def image():
    return torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def explain(*modules, channels=1):
    torch.manual_seed(0)
    return Explainer(nn.Sequential(*modules).double(), (channels, SIDE, SIDE))


@pytest.mark.parametrize("padding", [0, 1])
def test_stride_1_is_equivariant_to_shifts_away_from_the_border(image, padding):
    explainer = explain(nn.Conv2d(1, 3, 3, padding=padding), nn.ReLU(), nn.Conv2d(3, 2, 5, padding=padding))
    found = measure(explainer, image, "shift", amounts=[1, 3])
    assert (found.equivariance < 1e-12).all() and found.strict.all()
    assert (found.invariance > 0.1).all()
    # 3x3, unpadded: of 22 columns, one is brought in and the field of one more meets it; all rows remain
    if padding == 0:
        assert found.inside[0, 0] == pytest.approx(21 / 22)


def test_stride_2_is_equivariant_to_even_shifts_alone(image):
    explainer = explain(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 4, 3, stride=2))
    found = measure(explainer, image, "shift", amounts=[1, 2, 3, 4])
    assert (found.equivariance[2, [1, 3]] < 1e-12).all() and (found.equivariance[2, [0, 2]] > 0.05).all()
    distance = f"{found.equivariance[2, 0]:.2g}"
    tail = "beyond moving them: stride 2 without blur."
    assert found.readings == (
        "A shift by 1 pixel moves the maps of 0 and changes them by less than 1%.",
        "A shift by 1 pixel moves the maps of 1 and changes them by less than 1%.",
        f"A shift by 1 pixel changes the maps of 2 by {distance} times their size, {tail}",
    )


def test_blur_before_the_stride_keeps_more_of_the_shift(image):
    sharp = measure(explain(nn.Conv2d(1, 8, 3), nn.MaxPool2d(2)), image, "shift", amounts=[1])
    smooth = measure(explain(nn.Conv2d(1, 8, 3), nn.MaxPool2d(2, 1), BlurPool2d(5, 2)), image, "shift", amounts=[1])
    assert smooth.equivariance[-1, 0] < 0.6 * sharp.equivariance[-1, 0]
    assert "stride 2 without blur" in sharp.readings[-1] and "without blur" not in smooth.readings[-1]


def test_global_average_pooling_is_invariant():
    inner = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.float64)
    inner[..., 8:16, 8:16] = torch.rand(8, 8, generator=torch.Generator().manual_seed(1))
    explainer = explain(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    found = measure(explainer, inner, "shift", amounts=[1, 4])
    assert (found.invariance[2:] < 1e-12).all() and np.isnan(found.equivariance[2:]).all()
    assert found.readings[-1] == "A shift by 1 pixel changes the outputs of 4 by less than 1%."


def test_flip_equivariance_of_symmetric_kernels(image):
    explainer = explain(nn.Conv2d(1, 2, 3, padding=1))
    weight = explainer.model[0].weight.data
    assert measure(explainer, image, "flip").equivariance[0, 0] > 0.1
    weight.copy_((weight + weight.flip(-1)) / 2)
    assert measure(explainer, image, "flip").equivariance[0, 0] < 1e-12


def test_rotation_by_90_degrees_turns_counter_clockwise(image):
    explainer = explain(nn.Conv2d(1, 2, 3))
    changed, _, outside = CHANGES["image"]["rotation"].apply(explainer, image, 90.0, 0)
    assert torch.allclose(changed, torch.rot90(image, 1, (2, 3))) and not outside.any()
    weight = explainer.model[0].weight.data
    assert measure(explainer, image, "rotation", amounts=[90]).equivariance[0, 0] > 0.1
    weight.copy_(sum(torch.rot90(weight, k, (2, 3)) for k in range(4)))
    assert measure(explainer, image, "rotation", amounts=[90]).equivariance[0, 0] < 1e-12


def test_scale_keeps_the_middle_and_pointwise_layers_follow_it():
    smooth = torch.linspace(0, 1, SIDE, dtype=torch.float64).view(1, 1, 1, SIDE).expand(1, 1, SIDE, SIDE)
    explainer = explain(nn.Conv2d(1, 2, 1))
    found = measure(explainer, smooth, "scale", amounts=[1.25, 0.8])
    assert (found.equivariance < 1e-12).all() and (found.invariance[0] > 0.01).all()
    assert found.inside[0, 1] < found.inside[0, 0] == 1.0  # a smaller image has a border


def test_deep_layers_say_that_all_units_see_the_border(image):
    explainer = explain(*(nn.Conv2d(1, 1, 5, padding=2) for _ in range(6)))
    found = measure(explainer, image, "shift", amounts=[1])
    assert found.strict[0, 0] and not found.strict[-1, 0]
    assert found.inside[-1, 0] == pytest.approx(23 / 24)  # one column is brought in
    assert "where all units see the border" in found.readings[-1] and "border" not in found.readings[0]


def test_noise_and_brightness_by_hand(image):
    spec = ImagePreprocess(size=(SIDE, SIDE), channels=1, mean=(0.4,), std=(0.2,))
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False)).double()
    explainer = Explainer(net, (1, SIDE, SIDE), preprocess=spec)
    found = measure(explainer, image, "brightness", amounts=[1.5])
    stored = image * 0.2 + 0.4
    expected = float((0.5 * stored / 0.2).norm() / image.norm())
    assert found.invariance[0, 0] == pytest.approx(expected, rel=1e-5) and np.isnan(found.equivariance[0, 0])
    noisy = measure(explainer, image, "noise", amounts=[0.1, 0.2])
    assert noisy.invariance[0, 1] == pytest.approx(2 * noisy.invariance[0, 0])
    assert noisy.invariance[0, 0] == pytest.approx(float(0.1 * image.std() * image.numel() ** 0.5 / image.norm()), 0.1)
    assert noisy.readings[0].startswith("Noise of 0.1 standard deviations changes the maps of 0 by ")


def test_signals_and_sounds_take_their_own_changes():
    signal = Explainer(nn.Sequential(nn.Conv1d(1, 2, 3), nn.Conv1d(2, 2, 2, 2)), (1, 40))
    inputs = torch.rand(1, 1, 40, generator=torch.Generator().manual_seed(2))
    found = measure(signal, inputs, "shift", amounts=[1, 2])
    assert (found.equivariance < 1e-5).tolist() == [[True, True], [False, True]]
    assert found.unit == "samples" and "A shift by 1 sample" in found.readings[0]
    with pytest.raises(ConfigError, match=r"kind of input, signal, are shift, scale, noise\. Received: 'flip'\."):
        measure(signal, inputs, "flip")
    spec = AudioPreprocess(sample_rate=8000, seconds=0.2, features="mel", num_mels=12)
    wave = np.random.default_rng(0).normal(size=1600).astype(np.float32) * 0.1
    loud, quiet = spec(wave * 2)[None], spec(wave)[None]
    sound = Explainer(nn.Sequential(nn.Conv2d(1, 2, 3)), spec.shape, preprocess=spec)
    changed, _, _ = CHANGES["spectrogram"]["brightness"].apply(sound, quiet, 2.0, 0)
    assert torch.allclose(changed, loud, atol=1e-3)
    assert measure(sound, quiet, "shift", amounts=[2]).equivariance[0, 0] < 1e-5


def test_texts_are_refused():
    explainer = Explainer(nn.Sequential(nn.Embedding(5, 3)), (4,), dtype=torch.int64)
    with pytest.raises(ConfigError, match="Changes are measured for images, signals and sounds"):
        measure(explainer, torch.ones(1, 4, dtype=torch.int64), "shift")


def test_interpolation_is_linear_between_places():
    maps = torch.arange(12.0).view(1, 1, 3, 4)
    places = np.array([[0.5, 1.0, 2.5], [1.25, 3.0, 0.0]])
    found, within = sample(maps, places)
    assert found.flatten().tolist() == [0.5 * 4 + 1.25, 7.0, 8.0] and within.tolist() == [True, True, False]


def test_the_model_is_left_as_it_was(image):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True)).double().train()
    state = {key: value.clone() for key, value in net.state_dict().items()}
    given = image.clone()
    measure(Explainer(net, (1, SIDE, SIDE)), image, "shift", amounts=[1])
    assert net.training and all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert torch.equal(image, given) and all(parameter.grad is None for parameter in net.parameters())
