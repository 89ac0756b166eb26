"""Several binary masks for each image: folders of classes, and the outlines of COCO and YOLO."""

import io

import numpy as np
import pytest
from PIL import Image

from neocog.annotations.coco import open_coco
from neocog.data import open_source
from neocog.data.pack import pack
from neocog.dataset.record import UNLABELLED
from neocog.doctor import check
from neocog.errors import ConfigError, DataError
from tests.support.small_sets import coco, write_set, yolo

SIZE = (5, 7)
MULTI = "multi-label segmentation"


def png(values, mode=None):
    file = io.BytesIO()
    image = Image.fromarray(np.asarray(values, np.uint8))
    (image.convert(mode) if mode else image).save(file, "png")
    return file.getvalue()


def mask(seed, white=1):
    return np.random.default_rng(seed).integers(0, 2, SIZE) * white


def files(white=255):
    """Two images; b has no mask of a spot."""
    images = {f"images/{name}.png": png(np.zeros(SIZE)) for name in "ab"}
    masks = {"cell/a": mask(1, white), "cell/b": mask(2, white), "spot/a_mask": mask(3, white)}
    return images | {f"masks/{name}.png": png(values) for name, values in masks.items()}


def test_folders_of_classes_are_recognised_and_read(tmp_path):
    source = open_source(write_set(tmp_path / "set", files()))
    assert (source.task, source.format, source.classes) == (MULTI, "class-masks", ("cell", "spot"))
    np.testing.assert_array_equal(source.read(0).target, [mask(1), mask(3)])
    np.testing.assert_array_equal(source.read(1).target, [mask(2), np.zeros(SIZE)])
    assert "images without a mask of a class are taken as without it: spot 1" in source.notices
    assert "masks hold 0, 255: 255 is read as inside" in source.notices


def test_255_is_unknown_beside_1(tmp_path):
    content = files(white=1)
    values = mask(3)
    values[0, 0] = 255
    content["masks/spot/a_mask.png"] = png(values)
    source = open_source(write_set(tmp_path / "set", content))
    assert source.read(0).target[1, 0, 0] == UNLABELLED
    assert "masks hold 0, 1, 255: 255 is read as not known" in source.notices


def test_masks_of_one_bit(tmp_path):
    content = files() | {"masks/cell/a.png": png(mask(1, 255), "1")}
    source = open_source(write_set(tmp_path / "set", content))
    np.testing.assert_array_equal(source.read(0).target[0], mask(1))


@pytest.mark.parametrize("place", ["{split}/images", "images/{split}"])
def test_splits_within_or_around(tmp_path, place):
    content = {}
    for split in ("train", "test"):
        for name, values in files().items():
            kind, _, rest = name.partition("/")
            folder = place.format(split=split).replace("images", kind)
            content[f"{folder}/{rest}"] = values
    source = open_source(write_set(tmp_path / "set", content))
    assert source.format == "class-masks"
    assert {split: len(part) for split, part in source.splits.items()} == {"train": 2, "test": 2}


def test_names_come_from_a_table_in_its_order(tmp_path):
    source = open_source(write_set(tmp_path / "set", files() | {"classes.txt": b"spot\nvein\ncell\n"}))
    assert source.classes == ("spot", "vein", "cell")
    np.testing.assert_array_equal(source.read(0).target, [mask(3), np.zeros(SIZE), mask(1)])
    with pytest.raises(DataError, match=r"one of the classes that the table .* received spot\. The table names cell"):
        open_source(write_set(tmp_path / "other", files() | {"classes.txt": b"cell\n"}))


def test_folders_that_mirror_those_of_the_images_are_not_classes(tmp_path):
    content = {f"images/{part}/1.png": png(np.zeros(SIZE)) for part in "ab"}
    content |= {f"masks/{part}/1.png": png(mask(k)) for k, part in enumerate("ab")}
    source = open_source(write_set(tmp_path / "set", content))
    assert (source.format, source.task) == ("masks", "segmentation")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("masks/cell/c.png", png(mask(0)), r"Each mask needs an image .* 1 masks in .*cell without .*, first c\.png"),
        ("masks/cell/a.png", png(mask(1) * 3), r"holds 0 and 1, or 0 and 255\. .*a\.png: received the value 3"),
        ("masks/cell/a.png", png(np.zeros((*SIZE, 3))), r"received colours\. If a mask holds several classes, put all"),
        ("masks/cell/a.jpg", b"", r"A mask must be a PNG file"),
    ],
)
def test_masks_that_can_not_be_read_are_named(tmp_path, name, content, message):
    given = files()
    given.pop("masks/cell/a.png")
    with pytest.raises(DataError, match=message):
        open_source(write_set(tmp_path / "set", given | {name: content}))


def test_masks_of_another_size_are_named_on_reading(tmp_path):
    content = files() | {"masks/spot/a_mask.png": png(np.zeros((4, 7)))}
    source = open_source(write_set(tmp_path / "set", content))
    with pytest.raises(
        DataError, match=r"The masks of an image must have one size\. .*received 7 x 4 instead of 7 x 5"
    ):
        source.read(0)


def test_shards_give_the_same_masks(tmp_path):
    source = open_source(write_set(tmp_path / "set", files()))
    pack(tmp_path / "set", tmp_path / "packed")
    packed = open_source(tmp_path / "packed")
    assert (packed.task, packed.classes) == (MULTI, source.classes)
    for k in range(2):
        np.testing.assert_array_equal(packed.read(k).target, source.read(k).target)


def test_the_doctor_counts_classes_and_finds_faults(tmp_path):
    found = check(write_set(tmp_path / "set", files()))
    assert found.task == MULTI
    assert found.counts == {"all": (2, 1)} and not found.errors
    content = files() | {"masks/spot/a_mask.png": png(np.zeros((4, 7)))}
    assert check(write_set(tmp_path / "bad", content)).errors == 1


def test_outlines_of_coco_are_masks_of_each_class_for_the_task(tmp_path):
    folder = write_set(tmp_path, coco())
    plain, source = open_coco(folder, with_masks=True), open_source(folder, task=MULTI)
    assert (source.task, source.classes, source.format) == (MULTI, plain.classes, "coco")
    for k in range(2):
        objects, target = plain.read(k).target, source.read(k).target
        for label in range(2):
            np.testing.assert_array_equal(target[label], objects.masks[objects.labels == label].any(axis=0))
    assert open_source(folder).task == "detection"


def test_outlines_of_yolo_are_masks_of_each_class_for_the_task(tmp_path):
    source = open_source(write_set(tmp_path, yolo()), task=MULTI)
    target = source.read(0).target
    assert target.shape == (2, 20, 30) and target[0].any() and target[1].any()


def test_a_task_that_a_layout_can_not_be_for_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="segmentation"):
        open_source(write_set(tmp_path / "set", files()), task="segmentation")
