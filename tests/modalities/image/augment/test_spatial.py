import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neocog.dataset.record import Objects
from neocog.modalities.image.augment import AugmentConfig, SpatialTransform, augment, draw_spatial

SIZE = (40, 56)
SAMPLES = np.arange(500, 524, dtype=np.uint64)

MOVES = {
    "shift": AugmentConfig(shift=5),
    "flip": AugmentConfig(flip=0.5, vertical_flip=0.5),
    "shift, flip": AugmentConfig(shift=5, flip=0.5, vertical_flip=0.5),
    "translate": AugmentConfig(translate=0.2),
    "rotate": AugmentConfig(rotate=60),
    "scale": AugmentConfig(scale=0.4),
    "shear": AugmentConfig(shear=0.3),
    "crop": AugmentConfig(crop_area=0.3),
    "all": AugmentConfig(shift=3, flip=0.5, vertical_flip=0.3, rotate=20, scale=0.2, shear=0.1, crop_area=0.5),
    "randaugment": AugmentConfig(policy="randaugment", number=3, magnitude=5),
    "trivialaugment": AugmentConfig(policy="trivialaugment", flip=0.5, shift=2),
}
moves = pytest.mark.parametrize("config", MOVES.values(), ids=MOVES)


def geometry(config, epoch=0):
    return draw_spatial(SAMPLES, SIZE, config, seed=1, epoch=epoch)


def spots(places):
    """A picture for each place (x, y): bright around it."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    distance = (x - places[:, 0, None, None]) ** 2 + (y - places[:, 1, None, None]) ** 2
    return torch.from_numpy(250 * np.exp(-distance / 8)).float()[:, None]


@moves
def test_points_move_with_the_images(config):
    places = np.random.default_rng(0).uniform([18, 12], [38, 28], (len(SAMPLES), 2))
    moved = geometry(config).points(places[:, None])[:, 0]
    images = geometry(config).images(spots(places))[:, 0]
    y, x = torch.meshgrid(torch.arange(SIZE[0]) + 0.5, torch.arange(SIZE[1]) + 0.5, indexing="ij")
    seen = 0
    for image, (to_x, to_y) in zip(images, moved, strict=True):
        if 9 < to_x < SIZE[1] - 9 and 9 < to_y < SIZE[0] - 9:
            total = image.sum()
            assert ((image * x).sum() / total).item() == pytest.approx(to_x, abs=0.4)
            assert ((image * y).sum() / total).item() == pytest.approx(to_y, abs=0.4)
            seen += 1
    assert seen >= 6


@moves
def test_boxes_and_masks_move_with_the_images(config):
    """A bright rectangle, its class mask, its box and its own mask, all moved; then compared."""
    images = torch.zeros(len(SAMPLES), 1, *SIZE)
    masks = torch.zeros(len(SAMPLES), *SIZE, dtype=torch.uint8)
    images[:, :, 12:24, 20:36], masks[:, 12:24, 20:36] = 200, 7
    outline = (masks[:1] == 7).numpy()
    given = Objects(np.array([[20, 12, 36, 24]], np.float32), np.array([3]), outline)
    plain = Objects(given.boxes, given.labels)

    geo = geometry(config)
    shown, classes = geo.images(images)[:, 0], geo.masks(masks)
    tight, loose = geo.boxes([given] * len(SAMPLES)), geo.boxes([plain] * len(SAMPLES))
    seen = 0
    for i in range(len(SAMPLES)):
        inside = classes[i] == 7
        assert (shown[i][inside] >= 49).all()  # at a corner, a quarter of 200 and of nothing three quarters
        assert (shown[i][~inside] <= 151).all()
        if not len(tight[i]):
            assert inside.sum() < 0.5 * 12 * 16
            continue
        assert tight[i].labels.tolist() == [3]
        assert np.array_equal(tight[i].masks[0], inside.numpy())
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        extent = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert np.abs(tight[i].boxes[0] - extent).max() <= 1.0
        if len(loose[i]):
            assert (loose[i].boxes[0][:2] <= extent[:2] + 0.5).all() and (
                loose[i].boxes[0][2:] >= extent[2:] - 0.5
            ).all()
            seen += 1
    assert seen >= 6


@moves
def test_augment_applies_the_drawn_spatial_transform(config):
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (len(SAMPLES), 3, *SIZE), np.uint8))
    if not config.policy:
        whole = augment(images, SAMPLES, config, seed=1, epoch=4, fill=torch.zeros(3))
        assert torch.equal(whole, geometry(config, epoch=4).images(images))


@given(st.integers(0, 2**32), st.integers(0, 5))
def test_whole_moves_of_boxes_are_exact(sample, epoch):
    config = AugmentConfig(shift=4, flip=0.5, vertical_flip=0.5)
    geo = draw_spatial(np.array([sample], np.uint64), SIZE, config, seed=0, epoch=epoch)
    image = torch.zeros(1, 1, *SIZE, dtype=torch.uint8)
    image[0, 0, 10:13, 20:27] = 9
    rows, columns = torch.nonzero(geo.images(image)[0, 0], as_tuple=True)
    box = geo.boxes([Objects(np.array([[20, 10, 27, 13]], np.float32), np.array([0]))])[0].boxes[0]
    assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("border", ["black", "edge", "mirror"])
def test_masks_are_unlabelled_outside_for_any_border(border):
    masks = torch.full((len(SAMPLES), *SIZE), 4, dtype=torch.uint8)
    moved = geometry(AugmentConfig(shift=5, border=border)).masks(masks)
    assert set(moved.unique().tolist()) == {4, 255}


def test_masks_move_by_whole_pixels_as_images_do():
    masks = torch.from_numpy(np.random.default_rng(2).integers(0, 20, (len(SAMPLES), *SIZE), np.uint8))
    geo = geometry(MOVES["shift, flip"])
    moved, shown = geo.masks(masks), geo.images(masks[:, None])[:, 0]
    inside = moved != 255
    assert torch.equal(moved[inside], shown[inside])
    assert 0.7 < inside.double().mean() < 1


def test_nothing_moved_keeps_all_bit_for_bit():
    geo = geometry(AugmentConfig(brightness=0.5))
    images = torch.rand(len(SAMPLES), 1, *SIZE)
    masks = torch.randint(0, 256, (len(SAMPLES), *SIZE), dtype=torch.uint8)
    objects = [Objects(np.array([[1.25, 2.5, 9, 30]], np.float32), np.array([1]))] * len(SAMPLES)
    assert torch.equal(geo.images(images), images)
    assert torch.equal(geo.masks(masks), masks)
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(geo.boxes(objects), objects, strict=True))


def moved_by(x, y):
    return SpatialTransform(np.array([[[1.0, 0, -x], [0, 1, -y]]]), (10, 10))


def test_objects_that_leave_the_image_are_dropped():
    boxes = np.array([[0, 0, 4, 4], [6, 6, 9, 9]], np.float32)
    objects = Objects(boxes, np.array([1, 2]))
    (moved,) = moved_by(3, 3).boxes([objects])
    assert moved.labels.tolist() == [1, 2]
    assert moved.boxes.tolist() == [[3, 3, 7, 7], [9, 9, 10, 10]]  # 1 of 9 pixels is left: more than a tenth
    (moved,) = moved_by(3.5, 3).boxes([objects])
    assert moved.labels.tolist() == [1]
    assert moved.masks is None


def test_boxes_of_an_image_without_objects_stay_empty():
    none = Objects(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    assert len(moved_by(1, 1).boxes([none])[0]) == 0
