"""Masks as files: COCO's polygons give the pixels again, and binary masks have a folder for each class."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as api
from scipy import ndimage

from neocog.annotations.binary_masks import open_class_masks
from neocog.annotations.coco import open_coco
from neocog.annotations.outlines import draw_outline, trace_outline
from neocog.cli.predict_boxes import box_writers
from neocog.cli.write_masks import BinaryFolder, CocoMasks, mask_writers
from neocog.errors import ConfigError
from neocog.tasks import BinaryMaskPrediction, Classification, Detection, MultiLabelSegmentation, Segmentation
from neocog.tasks.segmentation import SegmentPrediction

OLD_PYCOCOTOOLS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def blobs(seed, size=(61, 47), smooth=2.5):
    """Large and small regions with holes, some at the edge."""
    noise = np.random.default_rng(seed).normal(size=size)
    return ndimage.gaussian_filter(noise, smooth) > 0 if smooth else noise > 0


def drawn(polygons, size):
    """The union of the polygons, by pycocotools."""
    flat = [polygon.ravel().tolist() for polygon in polygons]
    return api.decode(api.merge(api.frPyObjects(flat, *size))).astype(bool)


@OLD_PYCOCOTOOLS
@pytest.mark.parametrize("smooth", [3, 1, 0])
@pytest.mark.parametrize("seed", range(4))
def test_polygons_give_the_mask_again(seed, smooth):
    """Exactly, down to single pixels: an outline passes halfway between pixels' centres, where COCO samples."""
    inside = blobs(seed, smooth=smooth)
    found = trace_outline(inside)
    np.testing.assert_array_equal(drawn(found, inside.shape), inside)
    np.testing.assert_array_equal(draw_outline(found, *inside.shape), inside)
    assert all(len(polygon) >= 4 for polygon in found)


def test_region_with_a_hole_is_cut_into_polygons_that_touch():
    ring = np.ones((9, 12), bool)
    ring[3:6, 4:9] = False
    found = trace_outline(ring)
    assert len(found) == 2
    np.testing.assert_array_equal(draw_outline(found, 9, 12), ring)
    assert found[0][:, 0].max() == found[1][:, 0].min() == 7  # across the longer side of the hole
    ring = ring.T
    first, second = trace_outline(ring)
    assert first[:, 1].max() == second[:, 1].min() == 7


def test_straight_edges_have_two_points():
    square = np.zeros((20, 30), bool)
    square[5:15, 10:25] = True
    (found,) = trace_outline(square)
    assert len(found) == 8  # corners are cut by half a pixel
    assert found.min(axis=0).tolist() == [10, 5] and found.max(axis=0).tolist() == [25, 15]


TASK = Segmentation(("background", "cell", "wall"))


def written(tmp_path, masks, *, polygons):
    """Masks as a COCO file beside their images, as a data set."""
    writer = CocoMasks(tmp_path / "masks.json", TASK, polygons=polygons)
    for number, mask in enumerate(masks):
        Image.fromarray(np.zeros(mask.shape, np.uint8)).save(tmp_path / f"{number}.png")
        writer.add(SegmentPrediction.of_mask(f"{number}.png", TASK.classes, mask, 1.0))
    writer.finish()
    return json.loads((tmp_path / "masks.json").read_text())


@pytest.mark.parametrize("polygons", [False, True])
def test_coco_file_is_read_back_as_masks_of_each_class(tmp_path, polygons):
    masks = [blobs(k).astype(np.uint8) + (blobs(k + 9) & blobs(k)) for k in range(2)] + [np.zeros((9, 9), np.uint8)]
    content = written(tmp_path, masks, polygons=polygons)
    assert {entry["iscrowd"] for entry in content["annotations"]} == {0 if polygons else 1}
    source = open_coco(tmp_path, task="multi-label segmentation")
    assert source.classes == TASK.classes
    for k, mask in enumerate(masks):
        for label in (1, 2):
            np.testing.assert_array_equal(source.read(k).target[label], mask == label)
        assert not source.read(k).target[0].any()


def test_each_connected_region_is_an_annotation_with_its_area_and_box(tmp_path):
    mask = np.zeros((10, 12), np.uint8)
    mask[1:4, 2:6], mask[6:9, 7:12], mask[5, 0] = 1, 1, 2
    found = written(tmp_path, [mask], polygons=True)["annotations"]
    assert [(x["category_id"], x["area"], x["bbox"]) for x in found] == [
        (2, 12, [2, 1, 4, 3]), (2, 15, [7, 6, 5, 3]), (3, 1, [0, 5, 1, 1]),
    ]  # fmt: skip
    assert [x["id"] for x in found] == [1, 2, 3]


GIVEN = {"output": None, "form": None, "coco": None}


def test_polygons_need_a_coco_file_of_masks(tmp_path):
    with pytest.raises(ConfigError, match=r"--polygons says how the file of --coco is written\. .* Add --coco masks"):
        mask_writers(TASK, [], [], **GIVEN, polygons=True)
    with pytest.raises(ConfigError, match=r"--coco writes masks\. Received: a network for classification"):
        mask_writers(Classification(("a", "b")), [], [], **GIVEN | {"coco": tmp_path / "a"}, polygons=True)
    with pytest.raises(ConfigError, match=r"--polygons is for masks\. Received: a network for detection\. Leave --pol"):
        box_writers(Detection(("a",)), [], [], **GIVEN, yolo=None, threshold=None, polygons=True)


BINARY = MultiLabelSegmentation(("cell", "dark spot"))


def binary(name, size=(8, 6)):
    masks = np.random.default_rng(len(str(name))).random((2, *size)) > 0.5
    return BinaryMaskPrediction.of_masks(str(name), BINARY.classes, masks, 0.9)


def test_binary_masks_are_read_back_as_a_data_set(tmp_path):
    (tmp_path / "images").mkdir()
    found = []
    for name in "ab":
        path = tmp_path / "images" / f"{name}.png"
        Image.fromarray(np.zeros((8, 6), np.uint8)).save(path)
        found.append(binary(path))
    named = [(prediction.name, Path(prediction.name)) for prediction in found]
    (writer,) = mask_writers(BINARY, named, [tmp_path / "images"], **GIVEN | {"output": tmp_path / "masks"})
    for prediction in found:
        writer.add(prediction)
    writer.finish()
    assert (tmp_path / "masks" / "classes.txt").read_text() == "cell\ndark spot\n"
    source = open_class_masks(tmp_path)
    assert source.classes == BINARY.classes
    for k, prediction in enumerate(found):
        np.testing.assert_array_equal(source.read(k).target, prediction.masks)


def test_binary_masks_have_regions_of_each_class_in_coco(tmp_path):
    prediction = binary("a.png")
    writer = CocoMasks(tmp_path / "m.json", BINARY, polygons=True)
    writer.add(prediction)
    writer.finish()
    regions = json.loads((tmp_path / "m.json").read_text())["annotations"]
    for k in range(2):
        polygons = [np.array(p).reshape(-1, 2) for x in regions if x["category_id"] == k + 1 for p in x["segmentation"]]
        np.testing.assert_array_equal(draw_outline(polygons, 8, 6), prediction.masks[k])


def test_binary_masks_have_one_form_and_names_of_folders(tmp_path):
    with pytest.raises(
        ConfigError, match=r"--mask is for masks in which each pixel has one class\. .*Leave --mask out"
    ):
        mask_writers(BINARY, [], [], **GIVEN | {"output": tmp_path / "m", "form": "index"})
    with pytest.raises(
        ConfigError, match=r"-o writes a folder for each class\. Received: the class 'a/b'\. Use --coco"
    ):
        BinaryFolder(tmp_path / "m", {}, MultiLabelSegmentation(("a/b",)), None)
    assert not (tmp_path / "m").exists()
