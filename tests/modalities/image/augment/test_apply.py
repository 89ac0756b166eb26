import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from neocog.modalities.augment import Key
from neocog.modalities.image.augment import AugmentConfig, augment
from neocog.modalities.image.augment.policies import draw_policy
from neocog.rng import integers, uniform

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 3, 10, 12), dtype=np.uint8))
SAMPLES = np.arange(1000, 1040, dtype=np.uint64)
FILL = torch.tensor([10.0, 20.0, 30.0])


def run(config, images=IMAGES, samples=SAMPLES, epoch=0):
    return augment(images, samples, config, seed=5, epoch=epoch, fill=FILL)


def off_or(*values):
    return st.sampled_from([0.0, *values])


configs = st.builds(
    AugmentConfig,
    shift=st.integers(0, 3),
    translate=off_or(0.2),
    flip=off_or(0.5),
    alternate=st.booleans(),
    vertical_flip=off_or(0.5),
    rotate=off_or(15.0),
    scale=off_or(0.2),
    shear=off_or(0.2),
    crop_area=st.sampled_from([1.0, 0.3]),
    border=st.sampled_from(["black", "edge", "mirror"]),
    brightness=off_or(0.4),
    contrast=off_or(0.4),
    saturation=off_or(0.4),
    hue=off_or(0.1),
    lighting=off_or(0.1),
    grey=off_or(0.5),
    blur=off_or(1.0),
    noise=off_or(0.1),
    erase=off_or(0.5),
    policy=st.sampled_from([None, "randaugment", "trivialaugment"]),
)


@given(configs, st.integers(0, 39), st.integers(1, 40))
def test_sample_is_augmented_alike_in_any_batch(config, start, count):
    part = slice(start, start + count)
    assert torch.equal(run(config)[part], run(config, IMAGES[part], SAMPLES[part]))


@given(configs)
def test_shape_range_and_input_are_kept(config):
    before = IMAGES.clone()
    changed = run(config)
    assert changed.shape == IMAGES.shape
    assert changed.dtype == (torch.float32 if config.resamples or config.recolours else torch.uint8)
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert torch.equal(IMAGES, before)


@given(configs, st.permutations(range(40)))
def test_the_order_in_a_batch_does_not_matter(config, order):
    order = np.array(order)
    assert torch.equal(run(config)[order], run(config, IMAGES[order], SAMPLES[order]))


def test_no_augmentation_returns_the_same_tensor():
    assert run(AugmentConfig()) is IMAGES


@pytest.mark.parametrize("policy", ["randaugment", "trivialaugment"])
def test_identity_operation_keeps_values(policy):
    config = AugmentConfig(policy=policy, number=1)
    idle = np.flatnonzero(draw_policy(config, Key(seed=5, epoch=0, samples=SAMPLES)).operations[:, 0] == 0)
    assert len(idle)
    assert torch.equal(run(config)[idle], IMAGES[idle].float())


@pytest.mark.parametrize(
    "settings",
    [
        {"shift": 2, "flip": 0.5},
        {"rotate": 20, "border": "edge"},
        {"hue": 0.3, "saturation": 0.5},
        {"brightness": 0.4, "contrast": 0.4},
        {"blur": 1},
        {"policy": "randaugment"},
        {"policy": "trivialaugment"},
    ],
)
def test_16_bits_are_changed_as_8_bits_are(settings):
    config = AugmentConfig(**settings)
    deep = augment(IMAGES.float() * 257, SAMPLES, config, seed=5, epoch=0, fill=FILL * 257, white=65535)
    torch.testing.assert_close(deep / 257, run(config).float(), rtol=0, atol=2e-3)


@pytest.mark.parametrize("channels", [1, 2])
def test_augment_accepts_images_without_colour(channels):
    config = AugmentConfig(saturation=0.5, hue=0.5, grey=1.0)
    assert torch.equal(run(config, IMAGES[:, :channels]), IMAGES[:, :channels].float())
    every = AugmentConfig(policy="randaugment", number=5, contrast=0.3, blur=1, noise=0.1)
    assert run(every, IMAGES[:, :channels]).shape == (40, channels, 10, 12)


@pytest.mark.parametrize(("border", "mode"), [("black", "constant"), ("edge", "edge"), ("mirror", "reflect")])
def test_shift_crops_the_padded_image(border, mode):
    moved = run(AugmentConfig(shift=2, border=border))
    padded = np.pad(IMAGES.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode=mode)
    places = integers(5, 0, SAMPLES, "shift", 0, 4, 2)
    for i, (top, left) in enumerate(places.tolist()):
        assert np.array_equal(moved[i].numpy(), padded[i, :, top : top + 10, left : left + 12])
    assert len(np.unique(places, axis=0)) > 15


def test_flip_mirrors_half_of_the_images():
    many = IMAGES[:1].expand(2000, -1, -1, -1)
    flipped = run(AugmentConfig(flip=0.5), many, np.arange(2000, dtype=np.uint64))
    mirrored = (flipped == IMAGES[0].flip(2)).all(dim=(1, 2, 3))
    assert ((flipped == IMAGES[0]).all(dim=(1, 2, 3)) ^ mirrored).all()
    assert 0.45 < mirrored.double().mean() < 0.55
    assert torch.equal(run(AugmentConfig(flip=1.0)), IMAGES.flip(3))


def test_alternating_flips_show_each_side_every_second_epoch():
    config = AugmentConfig(flip=0.5, alternate=True)
    epochs = [run(config, epoch=epoch) for epoch in range(4)]
    mirrored = (epochs[0] == IMAGES.flip(3)).all(dim=3).all(dim=2).all(dim=1)
    assert 10 < mirrored.sum() < 30
    assert torch.equal(epochs[1], epochs[0].flip(3))
    assert torch.equal(epochs[2], epochs[0])
    assert torch.equal(epochs[3], epochs[1])


def test_vertical_flip_turns_images_upside_down():
    many = IMAGES[:1].expand(2000, -1, -1, -1)
    flipped = run(AugmentConfig(vertical_flip=0.3), many, np.arange(2000, dtype=np.uint64))
    turned = (flipped == IMAGES[0].flip(1)).all(dim=(1, 2, 3))
    assert ((flipped == IMAGES[0]).all(dim=(1, 2, 3)) ^ turned).all()
    assert 0.26 < turned.double().mean() < 0.34  # 4 standard deviations
    both = AugmentConfig(vertical_flip=1, flip=1)
    assert torch.equal(run(both), IMAGES.flip(2, 3))


@pytest.mark.parametrize(
    "settings",
    [
        {"shift": 2},
        {"translate": 0.2},
        {"flip": 0.5},
        {"vertical_flip": 0.5},
        {"rotate": 10},
        {"scale": 0.2},
        {"shear": 0.2},
        {"crop_area": 0.3},
        {"brightness": 0.3},
        {"contrast": 0.3},
        {"saturation": 0.3},
        {"hue": 0.2},
        {"grey": 0.5},
        {"blur": 1},
        {"noise": 0.1},
        {"erase": 0.5},
        {"policy": "randaugment"},
        {"policy": "trivialaugment"},
    ],
    ids=str,
)
def test_draws_change_with_the_epoch_and_the_sample(settings):
    config = AugmentConfig(**settings)
    assert not torch.equal(run(config, epoch=0), run(config, epoch=1))
    alike = run(config, IMAGES[:1].expand(40, -1, -1, -1))
    assert (alike != alike[0]).any()


def smooth(height=41, width=41):
    y, x = np.mgrid[:height, :width]
    blob = 200 * np.exp(-((x - 26) ** 2 + (y - 14) ** 2) / 40.0)
    return torch.from_numpy(blob.astype(np.float32))[None, None]


def test_rotation_turns_by_the_drawn_angle():
    image, samples = smooth(41, 61).expand(6, -1, -1, -1), np.arange(6, dtype=np.uint64)
    turned = run(AugmentConfig(rotate=30), image, samples)
    angles = 30 * (2 * uniform(5, 0, samples, "warp", 2)[:, 0] - 1)
    for i, angle in enumerate(angles):
        expected = ndimage.rotate(image[i, 0].numpy(), -angle, reshape=False, order=1)
        assert np.abs(turned[i, 0].numpy() - expected).max() < 6, angle


def test_scale_zooms_by_the_drawn_factor():
    samples = np.arange(6, dtype=np.uint64)
    zoomed = run(AugmentConfig(scale=0.3), smooth().expand(6, -1, -1, -1), samples)
    factors = 1 + 0.3 * (2 * uniform(5, 0, samples, "warp", 2)[:, 1] - 1)
    for i, factor in enumerate(factors):
        centre = ndimage.center_of_mass(zoomed[i, 0].numpy())
        assert centre == pytest.approx((20 + factor * (14 - 20), 20 + factor * (26 - 20)), abs=0.5)


def test_tiny_rotation_still_shifts_by_whole_pixels():
    tiny = AugmentConfig(rotate=1e-9, shift=3)
    moved = run(tiny, IMAGES.float())
    draws = integers(5, 0, SAMPLES, "shift", -3, 3, 2)
    for i, (rows, columns) in enumerate(draws.tolist()):
        padded = F.pad(IMAGES[i].float(), (3, 3, 3, 3))
        expected = padded[:, 3 + rows : 13 + rows, 3 + columns : 15 + columns]
        assert (moved[i] - expected).abs().max() < 1e-2


def test_warp_flips_as_the_fast_way_does():
    assert (run(AugmentConfig(rotate=1e-9, flip=1.0)) - IMAGES.flip(3)).abs().max() < 1e-2


def test_erase_fills_rectangles_of_the_published_area():
    num = 3000
    images = torch.full((num, 3, 32, 32), 200, dtype=torch.uint8)
    erased = run(AugmentConfig(erase=0.4), images, np.arange(num, dtype=np.uint64))
    mask = erased[:, 0] != 200
    hit = mask.any(dim=(1, 2))
    assert 0.36 < hit.double().mean() < 0.44
    areas = mask[hit].sum(dim=(1, 2)) / 32**2
    assert 0.01 < areas.min() < 0.03
    assert 0.18 < areas.max() < 0.24
    for one in mask[hit][:50]:
        assert one.any(1).sum() * one.any(0).sum() == one.sum()  # a full rectangle
    assert erased[hit][:, :, :][mask[hit][:, None].expand(-1, 3, -1, -1)].unique().tolist() == [10, 20, 30]
