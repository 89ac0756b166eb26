import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageEnhance, ImageOps

from neocog.modalities.image.augment import colour as operations

PICTURES = arrays(np.uint8, (9, 31, 3), elements=st.integers(0, 255)) | arrays(
    np.uint8, (17, 40, 3), elements=st.integers(90, 96)
)


def tensor(pixels):
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()


def array(images):
    return images[0].permute(1, 2, 0).numpy()


@given(PICTURES)
def test_equalize_is_that_of_pillow(pixels):
    expected = np.asarray(ImageOps.equalize(Image.fromarray(pixels)))
    assert np.array_equal(array(operations.equalize(tensor(pixels))), expected)


@given(PICTURES)
def test_auto_contrast_matches_pillow_before_rounding(pixels):
    expected = np.asarray(ImageOps.autocontrast(Image.fromarray(pixels))).astype(np.float32)
    assert np.abs(array(operations.auto_contrast(tensor(pixels))) - expected).max() < 1.01


@given(PICTURES, st.integers(1, 8))
def test_posterize_is_that_of_pillow(pixels, kept):
    expected = np.asarray(ImageOps.posterize(Image.fromarray(pixels), kept))
    assert np.array_equal(array(operations.posterize(tensor(pixels), torch.tensor([8.0 - kept]))), expected)


@given(PICTURES, st.integers(0, 256))
def test_solarize_is_that_of_pillow(pixels, threshold):
    expected = np.asarray(ImageOps.solarize(Image.fromarray(pixels), threshold))
    assert np.array_equal(array(operations.solarize(tensor(pixels), torch.tensor([float(threshold)]))), expected)


@pytest.mark.parametrize("factor", [0.1, 1.0, 1.9])
@given(pixels=PICTURES)
def test_sharpness_matches_pillow_before_rounding(pixels, factor):
    expected = np.asarray(ImageEnhance.Sharpness(Image.fromarray(pixels)).enhance(factor)).astype(np.float32)
    changed = array(operations.sharpness(tensor(pixels), torch.tensor([factor])))
    assert np.abs(changed - expected).max() < 1.51


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (3, 1)])
def test_every_operation_accepts_tiny_images(size):
    images = torch.full((2, 3, *size), 7.0)
    assert torch.equal(operations.sharpness(images, torch.tensor([0.1, 1.9])), images)
    assert torch.equal(operations.equalize(images), images)
    assert torch.equal(operations.auto_contrast(images), images)


def test_equalize_uses_one_table_per_image():
    pixels = np.random.default_rng(0).integers(0, 120, (6, 20, 30, 3), dtype=np.uint8)
    batch = operations.equalize(torch.cat([tensor(one) for one in pixels]))
    for changed, one in zip(batch, pixels, strict=True):
        assert torch.equal(changed, operations.equalize(tensor(one))[0])
