"""A look at objects before training: their size as the network sees them, and whether they may be upside down."""

import numpy as np
import pytest
import torch

from neocog.dataset.record import Objects, Record
from neocog.recipes import objects, recipe
from neocog.recipes.objects import covered, cut_square, look_at_objects
from tests.support.scenes import Scenes


class Arrows(Scenes):
    """Bright triangles that point up, all of one class, or down, all of another."""

    def __init__(self, side=64):
        super().__init__("detection", side=side)
        rows = np.arange(16)[:, None]
        triangle = np.abs(np.arange(16) - 7.5)[None] <= rows / 2
        self.images[:] = 30
        for index, image in enumerate(self.images):
            label = index % 2
            image[20:36, 10:26][triangle[::-1] if label else triangle] = 200
            image[40:56, 36:52][triangle[::-1] if label else triangle] = 180
            boxes = np.array([[10, 20, 26, 36], [36, 40, 52, 56]], np.float32)
            self.objects[index] = Objects(boxes, np.array([label, label]))


def test_look_measures_sides_and_symmetries():
    source = Scenes("detection")
    look = look_at_objects("x", source)
    sides = [
        right - left for i in range(20) for left, _, right, _ in source.objects[i].boxes.tolist()
    ]  # of squares, in training images
    assert (look.num_images, look.num_objects) == (20, len(sides))
    assert look.side == pytest.approx(np.quantile(sides, 0.1))


def test_objects_that_a_flip_turns_into_others_are_not_flipped(monkeypatch):
    monkeypatch.setattr(objects, "FEWEST", 20)
    look = look_at_objects("x", Arrows())
    assert look.symmetries["flip"].verdict == "no" and not look.holds("flip")
    assert look.holds("mirror")
    assert recipe("detection", "x", Arrows()).augment.vertical_flip == 0
    look = look_at_objects("x", Scenes("detection"))
    assert look.holds("flip")
    assert recipe("detection", "x", Scenes("detection")).augment.vertical_flip == 0.5


def test_few_objects_have_no_symmetries():
    look = look_at_objects("x", Scenes("detection"))
    assert look.num_objects < objects.FEWEST and not look.symmetries and not look.holds("flip")


@pytest.mark.parametrize(("side", "shrink"), [(64, None), (128, 2)])
def test_images_of_large_objects_are_shrunk(side, shrink):
    config = recipe("detection", "x", Scenes("detection", side=side))
    assert config.model.shrink == shrink
    assert config.train.epochs == (120 if shrink else 60)
    assert config.augment.hue == config.augment.saturation == 0  # of grey images


def test_colours_change_if_there_are_any():
    source = Scenes("detection")
    source.images = np.stack([source.images] * 3, axis=3)
    assert look_at_objects("x", source).has_colours
    assert recipe("detection", "x", source).augment.hue > 0


def test_ignored_objects_and_unreadable_data_are_left_out(tmp_path):
    source = Scenes("detection")
    source.objects = [Objects(each.boxes, each.labels, None, np.ones(len(each), np.uint8)) for each in source.objects]
    assert look_at_objects("x", source) is None
    assert look_at_objects(str(tmp_path / "nothing")) is None
    assert look_at_objects("x", Scenes("segmentation")) is None


def test_patches_are_moved_into_the_image():
    image = torch.arange(40 * 50, dtype=torch.float32).reshape(1, 40, 50).to(torch.uint8)
    inside = cut_square(image, np.array([25.0, 20.0]), 32)
    torch.testing.assert_close(inside, image[:, 4:36, 9:41].float() / 255)
    torch.testing.assert_close(cut_square(image, np.array([0.0, 39.0]), 32), image[:, 8:40, :32].float() / 255)
    assert cut_square(image, np.array([25.0, 20.0]), 90).shape == (1, 32, 32)


def test_covered_share_is_that_of_the_boxes():
    rows = np.array([[0, 0, 10, 10, 0, 0], [15, 0, 30, 5, 0, 0]], np.float32)
    assert covered(np.array([10.0, 10.0]), 20, rows) == pytest.approx((100 + 25) / 400)


def test_record_of_an_object_is_read_once(monkeypatch):
    source, reads = Scenes("detection"), []
    real = source.read
    monkeypatch.setattr(source, "read", lambda index: reads.append(index) or real(index))
    look_at_objects("x", source)
    assert isinstance(real(0), Record) and max(map(reads.count, reads)) <= 2  # header and pixels
