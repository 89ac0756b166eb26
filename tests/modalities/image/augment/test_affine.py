import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from neocog.modalities.image.augment import AugmentConfig, draw_spatial
from neocog.modalities.image.augment.spatial import random_resized_crop
from neocog.rng import integers, uniform

SAMPLES = np.arange(8, dtype=np.uint64)


def picture(height, width):
    y, x = np.mgrid[:height, :width]
    return (120 + 60 * np.sin(x / 5) * np.cos(y / 4) + x / 2).astype(np.float32)


def geometry(config, size, samples=SAMPLES):
    return draw_spatial(samples, size, config, seed=5, epoch=2)


def warped(image, matrix):
    """SciPy's own resampling by a map of pixel corners."""
    linear = matrix[::-1, 1::-1]  # over (y, x)
    shift = matrix[::-1, 2] + linear @ [0.5, 0.5] - 0.5
    return ndimage.affine_transform(image, linear, shift, order=1, mode="grid-constant")


@pytest.mark.parametrize(
    "settings",
    [
        {"rotate": 40},
        {"shear": 0.4},
        {"scale": 0.5},
        {"translate": 0.3},
        {"rotate": 40, "shear": 0.2, "scale": 0.2, "translate": 0.1, "shift": 3, "flip": 0.5, "crop_area": 0.4},
    ],
    ids=str,
)
def test_scipy_resamples_alike(settings):
    image = picture(30, 44)
    geo = geometry(AugmentConfig(**settings), image.shape)
    moved = geo.images(torch.from_numpy(image)[None, None].expand(8, -1, -1, -1))
    for i in range(8):
        assert np.abs(moved[i, 0].numpy() - warped(image, geo.matrices[i])).max() < 0.02


def test_affine_grid_of_torch_agrees():
    image = torch.from_numpy(picture(30, 30))[None, None].expand(8, -1, -1, -1)
    geo = geometry(AugmentConfig(rotate=40, shear=0.2, scale=0.2), (30, 30))
    theta = geo.matrices.copy()  # of a square picture: the same map, in half sides from the centre
    theta[:, :, 2] = (theta[:, :, 2] + theta[:, :, :2] @ [15, 15] - 15) / 15
    grid = F.affine_grid(torch.from_numpy(theta).float(), [8, 1, 30, 30], align_corners=False)
    expected = F.grid_sample(image, grid, align_corners=False)
    torch.testing.assert_close(geo.images(image), expected, rtol=0, atol=0.02)


def test_shear_moves_rows_by_their_distance_from_the_centre():
    geo = geometry(AugmentConfig(shear=0.3), (20, 20))
    right, below = (0.3 * (2 * uniform(5, 2, SAMPLES, "warp", 4)[:, 2:] - 1)).T
    expected = np.array([[[1, r, -10 * r], [b, 1, -10 * b]] for r, b in zip(right, below, strict=True)])
    np.testing.assert_allclose(geo.matrices, expected, atol=1e-12)


def test_draws_cover_the_given_ranges():
    many = np.arange(4000, dtype=np.uint64)
    moved = geometry(AugmentConfig(translate=0.25), (40, 80), many).matrices[:, :, 2]
    assert np.abs(moved).max(axis=0) == pytest.approx([20, 10], rel=0.01)
    assert np.abs(moved).mean(axis=0) == pytest.approx([10, 5], rel=0.05)
    zoom = 1 / geometry(AugmentConfig(scale=0.2), (40, 80), many).matrices[:, 0, 0]
    assert (zoom.min(), zoom.mean(), zoom.max()) == pytest.approx((0.8, 1.0, 1.2), rel=0.01)
    turned = geometry(AugmentConfig(rotate=30), (40, 80), many).matrices
    angles = np.rad2deg(np.arctan2(turned[:, 0, 1], turned[:, 0, 0]))
    assert (angles.min(), angles.max()) == pytest.approx((-30, 30), rel=0.01)
    assert np.quantile(angles, 0.75) == pytest.approx(15, abs=1.5)


@pytest.mark.parametrize("size", [(32, 32), (30, 50), (20, 200)])
def test_random_resized_crop_has_published_area_and_aspect(size):
    key = {"seed": 0, "epoch": 0, "samples": np.arange(4000, dtype=np.uint64)}
    matrices = random_resized_crop(0.08, key, size)
    w, h = matrices[:, 0, 0] * size[1], matrices[:, 1, 1] * size[0]
    left, top = matrices[:, 0, 2], matrices[:, 1, 2]
    assert (left >= 0).all() and (top >= 0).all()
    assert (left + w <= size[1] + 1e-9).all() and (top + h <= size[0] + 1e-9).all()
    assert (w / h >= 0.75 - 1e-9).all() and (w / h <= 4 / 3 + 1e-9).all()
    share = w * h / (size[0] * size[1])
    assert share.min() == pytest.approx(0.08, abs=0.01)
    if size == (32, 32):
        assert share.max() > 0.95
        assert share.mean() == pytest.approx(0.5, abs=0.05)  # large ones fit less often
        assert (left / (size[1] - w)).mean() == pytest.approx(0.5, abs=0.02)


def test_crop_falls_back_to_the_nearest_aspect_ratio():
    key = {"seed": 0, "epoch": 0, "samples": np.arange(50, dtype=np.uint64)}
    matrices = random_resized_crop(0.9, key, (10, 100))  # nine tenths of it are longer than 4:3
    window = matrices[:, 0, 0] * 100, matrices[:, 1, 1] * 10, matrices[:, 0, 2], matrices[:, 1, 2]
    for value, expected in zip(window, (10 * 4 / 3, 10, (100 - 40 / 3) / 2, 0), strict=True):
        assert np.allclose(value, expected)


def test_random_resized_crop_does_not_darken_the_edge():
    white = torch.full((200, 1, 12, 12), 200, dtype=torch.uint8)
    config = AugmentConfig(crop_area=0.2, flip=0.5)
    cut = geometry(config, (12, 12), np.arange(200, dtype=np.uint64)).images(white)
    torch.testing.assert_close(cut, white.float())


def test_crop_comes_before_flip_and_shift():
    many = np.arange(50, dtype=np.uint64)
    cut = geometry(AugmentConfig(crop_area=0.3), (20, 30), many).matrices
    moved = geometry(AugmentConfig(crop_area=0.3, flip=1.0, shift=2), (20, 30), many).matrices
    y, x = integers(5, 2, many, "shift", -2, 2, 2).T
    for one, both, right, below in zip(cut, moved, x, y, strict=True):
        for place in ((0, 0), (30, 20), (7, 3)):
            within = [30 - (place[0] + right), place[1] + below]  # a place of the window, stretched to the whole
            np.testing.assert_allclose(both @ [*place, 1], one @ [*within, 1])
