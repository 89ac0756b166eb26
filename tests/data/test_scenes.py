import numpy as np
import pytest
from PIL import Image

from neocog.data import open_source
from neocog.data.scenes import SHAPES, draw_scene, write_scenes
from neocog.errors import DataError


@pytest.mark.parametrize("number", range(20))
def test_masks_and_boxes_are_exact(number):
    scene = draw_scene(number, (60, 80))
    assert scene.pixels.shape == (60, 80, 3) and scene.pixels.dtype == scene.mask.dtype == np.uint8
    covered = np.zeros((60, 80), int)
    for box, label, plane in zip(scene.objects.boxes, scene.objects.labels, scene.objects.masks, strict=True):
        assert (scene.mask[plane] == label + 1).all()
        rows, columns = np.nonzero(plane)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        covered += plane
    np.testing.assert_array_equal(covered, scene.mask > 0)  # each pixel belongs to one shape, the one in front


def test_a_shape_differs_from_what_is_around_it():
    for number in range(20):
        scene = draw_scene(number, grey=True)
        ground = scene.pixels[scene.mask == 0].astype(float)
        top = scene.objects.masks[-1]
        assert scene.pixels.ndim == 2 and ground.std() > 3
        if top.sum() > 50:
            ring = scene.mask != scene.objects.labels[-1] + 1
            assert abs(scene.pixels[top].mean() - scene.pixels[ring].mean()) > 5


def test_seed_and_number_make_the_scene():
    first = draw_scene(3, seed=1)
    assert np.array_equal(first.pixels, draw_scene(3, seed=1).pixels)
    assert not np.array_equal(first.pixels, draw_scene(4, seed=1).pixels)
    assert not np.array_equal(first.pixels, draw_scene(3, seed=2).pixels)


def test_all_shapes_occur():
    labels = np.concatenate([draw_scene(n, (32, 32)).objects.labels for n in range(60)])
    assert set(labels.tolist()) == set(range(len(SHAPES)))


def test_written_scenes_are_a_set_with_masks(tmp_path):
    folder = write_scenes(tmp_path / "scenes", {"train": 3, "test": 2}, (32, 48), seed=7)
    source = open_source(folder)
    assert source.task == "segmentation" and source.classes == ("background", *SHAPES)
    assert {split: len(rows) for split, rows in source.splits.items()} == {"train": 3, "test": 2}
    record = source.read(int(source.splits["test"][0]))
    expected = draw_scene(3, (32, 48), seed=7)
    np.testing.assert_array_equal(record.target, expected.mask)
    with Image.open(folder / "test" / "images" / "00003.png") as image:
        np.testing.assert_array_equal(np.asarray(image), expected.pixels)


def test_a_folder_that_exists_is_left_alone(tmp_path):
    with pytest.raises(DataError, match="Scenes are written to a new folder"):
        write_scenes(tmp_path, {"train": 1})
