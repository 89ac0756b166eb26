import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from neocog.modalities.image.augment import AugmentConfig, augment, draw_spatial
from neocog.modalities.image.augment.policies import (
    OPERATIONS,
    RANDAUGMENT,
    TRIVIALAUGMENT,
    DrawnPolicy,
    draw_policy,
)
from neocog.rng import uniform

NUM = 7000
SAMPLES = np.arange(NUM, dtype=np.uint64)
KEY = {"seed": 3, "epoch": 1, "samples": SAMPLES}
RAND = AugmentConfig(policy="randaugment", magnitude=6)
TRIVIAL = AugmentConfig(policy="trivialaugment")


@pytest.mark.parametrize("config", [RAND, TRIVIAL], ids=["rand", "trivial"])
def test_each_operation_is_drawn_equally_often(config):
    drawn = draw_policy(config, KEY)
    for column in drawn.operations.T:
        counts = np.bincount(column, minlength=14)
        assert len(counts) == 14
        assert np.abs(counts - NUM / 14).max() < 4.5 * np.sqrt(NUM / 14)
    assert np.abs(drawn.signs.mean(axis=0)).max() < 4 / np.sqrt(NUM)


def test_randaugment_draws_n_operations_of_one_strength():
    drawn = draw_policy(AugmentConfig(policy="randaugment", magnitude=6, number=3), KEY)
    assert drawn.operations.shape == (NUM, 3)
    assert (drawn.levels == 0.6).all()
    together = np.corrcoef(drawn.operations.T)
    assert np.abs(together[np.triu_indices(3, 1)]).max() < 0.05  # one does not tell the next


def test_trivialaugment_draws_one_operation_of_31_strengths():
    drawn = draw_policy(TRIVIAL, KEY)
    assert drawn.operations.shape == (NUM, 1)
    values, counts = np.unique(drawn.levels, return_counts=True)
    assert np.allclose(values, np.arange(31) / 30)
    assert counts.min() > 150


def full_strength(name, full, size, sign=1.0):
    """The matrix of one operation at full strength."""
    drawn = DrawnPolicy(full, np.array([[OPERATIONS.index(name)]]), np.ones((1, 1)), np.full((1, 1), sign))
    return drawn.matrices(size)[0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("full", "angle", "slant", "across", "down"),
    [(RANDAUGMENT, 30, 0.3, 150, 75), (TRIVIALAUGMENT, 135, 0.99, 32, 32)],
    ids=["rand", "trivial"],
)
def test_full_strength_is_that_of_the_paper(full, angle, slant, across, down, sign):
    size = (166, 331)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    assert np.allclose(full_strength("shear x", full, size, sign), [[1, sign * slant, 0], [0, 1, 0], [0, 0, 1]])
    assert np.allclose(full_strength("shear y", full, size, sign), [[1, 0, 0], [sign * slant, 1, 0], [0, 0, 1]])
    assert np.allclose(full_strength("translate x", full, size, sign), [[1, 0, sign * across], [0, 1, 0], [0, 0, 1]])
    assert np.allclose(full_strength("translate y", full, size, sign), [[1, 0, 0], [0, 1, sign * down], [0, 0, 1]])
    # The same map as Pillow's rotation, which reads the nearest pixel.
    turned = np.asarray(image.rotate(sign * angle))
    affine = full_strength("rotate", full, size, -sign)[:2].ravel()
    same = np.asarray(image.transform(image.size, Image.Transform.AFFINE, tuple(affine))) == turned
    backwards = full_strength("rotate", full, size, sign)[:2].ravel()
    other = np.asarray(image.transform(image.size, Image.Transform.AFFINE, tuple(backwards))) == turned
    assert max(same.mean(), other.mean()) > 0.99


def test_policy_values_stay_within_published_ranges():
    assert (RANDAUGMENT.factors, TRIVIALAUGMENT.factors) == ((0.1, 1.9), (0.01, 2.0))
    assert (8 - RANDAUGMENT.bits, 8 - TRIVIALAUGMENT.bits) == (4, 2)  # that are kept


def one_change(pixels, config, sample):
    images = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    changed = augment(images, SAMPLES[sample : sample + 1], config, seed=3, epoch=1, fill=torch.zeros(3))
    return changed[0].permute(1, 2, 0).numpy()


def by_pillow(pixels, name, level, full):
    image = Image.fromarray(pixels)
    low, high = full.factors
    factor = low + level * (high - low)
    change = {
        "identity": lambda: image,
        "auto-contrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "solarize": lambda: ImageOps.solarize(image, 256 - int(256 * level)),
        "posterize": lambda: ImageOps.posterize(image, 8 - int(full.bits * level + 1e-6)),
        "colour": lambda: ImageEnhance.Color(image).enhance(factor),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(factor),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(factor),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(factor),
    }
    return np.asarray(change[name]()).astype(np.float32)


@pytest.mark.parametrize("config", [AugmentConfig(policy="randaugment", number=1), TRIVIAL], ids=["rand", "trivial"])
def test_every_change_of_colour_is_that_of_pillow(config):
    pixels = np.random.default_rng(1).integers(20, 200, (16, 24, 3), dtype=np.uint8)
    drawn, tried = draw_policy(config, KEY), set()
    for sample in range(200):
        name = OPERATIONS[drawn.operations[sample, 0]]
        if name not in ("rotate", "shear x", "shear y", "translate x", "translate y"):
            expected = by_pillow(pixels, name, drawn.levels[sample, 0], drawn.full)
            assert np.abs(one_change(pixels, config, sample) - expected).max() < 2.01, name
            tried.add(name)
    assert len(tried) == 9


def test_several_operations_compose_in_order():
    config = AugmentConfig(policy="randaugment", number=4)
    drawn = draw_policy(config, KEY)
    size = (20, 30)
    expected = np.eye(3)
    moved = draw_spatial(SAMPLES[:50], size, config, seed=3, epoch=1).matrices
    for sample in range(50):
        expected = np.eye(3)
        for i in range(4):
            one = DrawnPolicy(RANDAUGMENT, *(part[sample : sample + 1, i : i + 1] for part in drawn[1:]))
            expected = expected @ one.matrices(size)[0]
        assert np.allclose(moved[sample], expected[:2])


def test_the_draws_of_a_policy_are_its_own():
    draws = uniform(3, 1, SAMPLES, "policy", 3)
    assert np.array_equal(draw_policy(TRIVIAL, KEY).operations[:, 0], np.floor(14 * draws[:, 0]))
