import numpy as np
import pytest
import torch

from neocog.look.features import SMALLEST, PatchFilters, gram, pooling_matrix, standardise


def random_images(num=12, channels=1, side=20, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((num, channels, side, side), dtype=np.float32))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [SMALLEST, 9, 31, 100])
def test_features_have_one_width_for_any_size(channels, side):
    images = random_images(channels=channels, side=side)
    filters = PatchFilters.fit(images, seed=0)
    found = filters.features(images)
    assert found.shape == (12, 2 * len(filters.weight) * 9) and found.isfinite().all()


def test_features_do_not_depend_on_the_other_images():
    images = random_images(70)
    filters = PatchFilters.fit(images, seed=0)
    torch.testing.assert_close(filters.features(images)[66:], filters.features(images[66:]), atol=1e-5, rtol=1e-5)


def test_features_ignore_brightness_and_nearly_contrast():
    images = random_images()
    filters = PatchFilters.fit(images, seed=0)
    plain, other = filters.features(images), filters.features(2 * images + 1)
    assert (plain - other).abs().mean() < 0.02 * plain.abs().mean()


def test_features_differ_for_mirror_images():
    images = random_images()
    filters = PatchFilters.fit(images, seed=0)
    assert (filters.features(images) - filters.features(images.flip(3))).abs().mean() > 0.01


def test_features_of_flat_images_are_finite():
    images = torch.full((3, 1, 16, 16), 0.5)
    filters = PatchFilters.fit(images, seed=0)
    assert filters.features(images).isfinite().all()


def test_pooling_takes_the_mean_of_each_cell():
    values = torch.arange(36.0).reshape(6, 6)
    expected = torch.nn.functional.avg_pool2d(values[None, None], 2).flatten()
    torch.testing.assert_close(values.flatten() @ pooling_matrix(6, 6), expected)
    assert pooling_matrix(2, 2).shape == (4, 4)


def test_standardised_features_have_mean_zero_and_no_infinities():
    features = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    found = standardise(features, features)
    assert found.mean(dim=0).tolist() == [0.0, 0.0] and found.isfinite().all()
    assert gram(found, found).dtype == torch.float64
