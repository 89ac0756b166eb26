import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from neocog.modalities.image.augment import AugmentConfig, augment, colour

PICTURE = np.random.default_rng(0).integers(0, 256, (14, 18, 3), dtype=np.uint8)
BYTES = st.integers(0, 255)


def tensor(pixels):
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()


def array(images):
    return images[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
    ("ours", "pillow"),
    [
        (colour.brightness, ImageEnhance.Brightness),
        (colour.contrast, ImageEnhance.Contrast),
        (colour.saturation, ImageEnhance.Color),
    ],
)
def test_pillow_enhances_alike(ours, pillow, factor):
    expected = np.asarray(pillow(Image.fromarray(PICTURE)).enhance(factor)).astype(np.float32)
    changed = array(ours(tensor(PICTURE), torch.tensor([factor])))
    assert np.abs(changed - expected).max() <= 1.01 + 0.5 * factor  # Pillow rounds greys and results to whole numbers


@given(BYTES, BYTES, BYTES, st.floats(-0.5, 0.5, width=32))
def test_hue_turns_as_colorsys_says(red, green, blue, turn):
    changed = array(colour.hue(tensor(np.array([[[red, green, blue]]])), torch.tensor([turn])))[0, 0]
    h, s, v = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    expected = np.array(colorsys.hsv_to_rgb((h + turn) % 1, s, v)) * 255
    assert np.abs(changed - expected).max() < 0.01


@given(BYTES, BYTES, BYTES)
def test_full_hue_turn_is_the_identity(red, green, blue):
    pixel = tensor(np.array([[[red, green, blue]]]))
    torch.testing.assert_close(colour.hue(pixel, torch.tensor([1.0])), pixel, rtol=0, atol=0.01)
    there_and_back = colour.hue(colour.hue(pixel, torch.tensor([0.3])), torch.tensor([-0.3]))
    torch.testing.assert_close(there_and_back, pixel, rtol=0, atol=0.01)


def test_hue_keeps_value_and_saturation():
    before, after = tensor(PICTURE), colour.hue(tensor(PICTURE), torch.tensor([0.2]))
    torch.testing.assert_close(after.amax(1), before.amax(1))
    torch.testing.assert_close(after.amin(1), before.amin(1), rtol=0, atol=1e-3)


def test_grey_is_that_of_pillow():
    expected = np.asarray(Image.fromarray(PICTURE).convert("L"))[:, :, None]
    assert np.abs(array(colour.grey(tensor(PICTURE))) - expected).max() < 0.51


def test_grey_converts_its_share_of_the_images():
    images = torch.from_numpy(PICTURE).permute(2, 0, 1)[None].expand(2000, -1, -1, -1)
    samples = np.arange(2000, dtype=np.uint64)
    changed = augment(images, samples, AugmentConfig(grey=0.3), seed=0, epoch=0, fill=torch.zeros(3))
    grey = (changed[:, :1] == changed).all(dim=(1, 2, 3))
    assert 0.26 < grey.double().mean() < 0.34  # 4 standard deviations
    assert torch.equal(changed[~grey], images[~grey].float())


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_factors_are_spread_evenly_around_one(name):
    images = torch.tensor([100.0, 80, 60])[None, :, None, None].expand(4000, -1, 2, 2).clone()
    images[:, :, 0] += 20  # something to contrast with
    samples = np.arange(4000, dtype=np.uint64)
    changed = augment(images, samples, AugmentConfig(**{name: 0.4}), seed=0, epoch=0, fill=torch.zeros(3))
    lights = colour.luma(images)
    zero = {"brightness": 0 * lights, "contrast": lights.round().mean((1, 2, 3), keepdim=True), "saturation": lights}
    factors = ((changed - zero[name]) / (images - zero[name]))[:, 0, 0, 0]
    assert (factors.min(), factors.max()) == (pytest.approx(0.6, abs=0.01), pytest.approx(1.4, abs=0.01))
    assert factors.mean() == pytest.approx(1, abs=0.02)
    assert factors.std() == pytest.approx(0.8 / 12**0.5, abs=0.02)


def test_lighting_moves_along_the_principal_axes_of_imagenet():
    draws = torch.tensor([[0.1, -0.2, 0.3], [0.0, 0.0, 0.0]])
    images = torch.full((2, 3, 4, 5), 100.0)
    red = 100 + 255 * (0.1 * 0.2175 * -0.5675 - 0.2 * 0.0188 * 0.7192 + 0.3 * 0.0045 * 0.4009)
    moved = colour.lighting(images, draws)
    torch.testing.assert_close(moved[0, 0], torch.full((4, 5), red))
    assert torch.equal(moved[1], images[1])
    axes = torch.tensor(colour.AXES)
    torch.testing.assert_close(axes @ axes.T, torch.eye(3), atol=1e-3, rtol=0)


def test_lighting_differs_by_image_and_epoch():
    images, samples = torch.full((4, 3, 2, 2), 128.0), np.arange(4, dtype=np.uint64)
    config, fill = AugmentConfig(lighting=0.1), torch.zeros(3)
    first, again, later = (augment(images, samples, config, seed=0, epoch=e, fill=fill) for e in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, later)
    assert len(first[:, 0, 0, 0].unique()) == 4
    assert torch.equal(first[:, :, :1, :1].expand_as(first), first)
