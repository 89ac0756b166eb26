import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import kstest

from neocog.modalities.image.augment import AugmentConfig, augment
from neocog.modalities.image.augment.texture import blur
from neocog.rng import uniform

SAMPLES = np.arange(12, dtype=np.uint64)
KEY = {"seed": 5, "epoch": 0, "samples": SAMPLES}


def test_scipy_blurs_alike():
    images = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (12, 2, 15, 20)).astype(np.float32))
    blurred = blur(images, 1.5, KEY)
    sigmas = 1.5 * uniform(5, 0, SAMPLES, "blur")[:, 0]
    assert sigmas.max() > 1
    for image, changed, sigma in zip(images.numpy(), blurred.numpy(), sigmas, strict=True):
        for before, after in zip(image, changed, strict=True):
            # Ours reaches as far for every picture; SciPy's reach is in its picture's own deviations.
            expected = ndimage.gaussian_filter(before, sigma, mode="nearest", radius=5)
            assert np.abs(after - expected).max() < 1e-3


def test_blur_may_be_wider_than_the_image():
    assert torch.allclose(blur(torch.full((12, 1, 2, 1), 9.0), 8, KEY), torch.tensor(9.0))


def noisy(images, samples, epoch=0, **settings):
    return augment(images, samples, AugmentConfig(noise=0.1), seed=5, epoch=epoch, fill=torch.zeros(1), **settings)


def test_noise_is_normal_with_the_given_deviation():
    images = torch.full((40, 1, 31, 31), 128.0)
    added = (noisy(images, np.arange(40, dtype=np.uint64)) - 128).numpy() / 25.5
    assert kstest(added[np.abs(added) < 4].ravel(), "norm").pvalue > 0.01
    assert added.std() == pytest.approx(1, abs=0.02)


def test_noise_is_another_for_each_value_sample_and_epoch():
    images = torch.full((12, 1, 31, 31), 128.0)
    first, second = noisy(images, SAMPLES).flatten(1), noisy(images, SAMPLES, epoch=1).flatten(1)
    rows = torch.cat([first, second]).numpy()
    apart = np.corrcoef(rows) - np.eye(24)
    assert np.abs(apart).max() < 5 / 31
    halves = np.corrcoef(rows[:, :480].ravel(), rows[:, 481:].ravel())[0, 1]  # drawn from the same words
    assert abs(halves) < 5 / np.sqrt(480 * 24)
    neighbours = np.corrcoef(rows[:, 1:].ravel(), rows[:, :-1].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(rows.size)


def test_noise_stays_between_black_and_white():
    for level in (0.0, 255.0):
        changed = noisy(torch.full((4, 1, 9, 9), level), SAMPLES[:4])
        assert changed.min() >= 0 and changed.max() <= 255
    deep = noisy(torch.full((4, 1, 9, 9), 30000.0), SAMPLES[:4], white=65535)
    assert (deep - 30000).std() == pytest.approx(6553.5, rel=0.15)
