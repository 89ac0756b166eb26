import copy
import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as api
from pycocotools.coco import COCO

from neocog.annotations.coco import is_coco, open_coco
from neocog.annotations.outlines import check_runs, draw_outline, unpack_runs
from neocog.dataset.record import CROWD, fingerprint
from neocog.doctor import check
from neocog.errors import DataError

OLD_PYCOCOTOOLS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SIZE = (30, 40)
PACKED = np.zeros(SIZE, np.uint8)
PACKED[5:9, 10:30] = 1
CONTENT = {
    "images": [
        {"id": 7, "file_name": "a.png", "height": 30, "width": 40},
        {"id": 3, "file_name": "b.png", "height": 30, "width": 40},
        {"id": 9, "file_name": "c.png", "height": 30, "width": 40},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
    "annotations": [
        {
            "id": 100, "image_id": 3, "category_id": 18, "bbox": [1.5, 2, 10, 20.25], "iscrowd": 0,
            "segmentation": [[1.5, 2, 11.5, 2.4, 8, 22], [20, 20, 30.2, 20, 30, 29.9, 20, 28]],
        },
        {
            "id": 101, "image_id": 7, "category_id": 1, "bbox": [10, 5, 20, 4],
            "segmentation": {"size": [30, 40], "counts": api.encode(np.asfortranarray(PACKED))["counts"].decode()},
        },
        {
            "id": 102, "image_id": 3, "category_id": 1, "bbox": [0, 0, 2, 3], "iscrowd": 0,
            "segmentation": {"size": [30, 40], "counts": [0, 3, 27, 3, 1167]},
        },
        {
            "id": 103, "image_id": 3, "category_id": 1, "bbox": [0, 0, 40, 30], "iscrowd": 1,
            "segmentation": {"size": [30, 40], "counts": [0, 1200]},
        },
    ],
}  # fmt: skip


def write_set(root, content=CONTENT, *, name="annotations/instances_train2017.json", folder="images/train2017"):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content if isinstance(content, str) else json.dumps(content))
    (root / folder).mkdir(parents=True, exist_ok=True)
    for letter in "abc":
        Image.fromarray(np.full((*SIZE, 3), 9, np.uint8)).save(root / folder / f"{letter}.png")
    return root


def changed(*path, value):
    """The set with one place changed; a value of ... removes it."""
    content = copy.deepcopy(CONTENT)
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return content


@OLD_PYCOCOTOOLS
def test_objects_are_those_of_pycocotools(tmp_path):
    root = write_set(tmp_path)
    source = open_coco(root, with_masks=True)
    oracle = COCO(str(root / "annotations/instances_train2017.json"))
    numbers = {number: k for k, number in enumerate(sorted(oracle.getCatIds()))}
    for index, image in enumerate(CONTENT["images"]):
        wanted = oracle.imgToAnns[image["id"]]
        found = source.read(index).target
        assert found.ignored.tolist() == [CROWD * entry.get("iscrowd", 0) for entry in wanted]
        assert found.labels.tolist() == [numbers[entry["category_id"]] for entry in wanted]
        assert found.masks.shape == (len(wanted), *SIZE)
        assert found.boxes.dtype == np.float32
        for box, mask, entry in zip(found.boxes, found.masks, wanted, strict=True):
            x, y, w, h = entry["bbox"]
            assert box.tolist() == [x, y, x + w, y + h]
            assert np.array_equal(mask, oracle.annToMask(entry))


def test_set_matches_its_file(tmp_path):
    source = open_coco(write_set(tmp_path))
    assert is_coco(tmp_path)
    assert (source.task, source.format, source.classes) == ("detection", "coco", ("person", "dog"))
    assert (len(source), source.size(1), source.targets.tolist()) == (3, (30, 40), [-1, -1, -1])
    assert source.splits["train"].tolist() == [0, 1, 2]
    record = source.read(1)
    assert record.key == "images/train2017/b.png"
    assert record.payload == (tmp_path / record.key).read_bytes()
    assert record.target.masks is None
    assert source.read_target(2).boxes.shape == (0, 4)
    assert source.notices == ("annotations of crowds (iscrowd) are neither learned nor scored: 1",)
    assert list(source.faults()) == []


def test_set_without_crowds_ignores_nothing_and_one_with_them_has_another_fingerprint(tmp_path):
    plain = open_coco(write_set(tmp_path / "a", changed("annotations", 3, "iscrowd", value=0)))
    crowded = open_coco(write_set(tmp_path / "b"))
    assert plain.read_target(1).ignored is None and plain.notices == ()
    assert crowded.read_target(1).ignored.tolist() == [0, 0, CROWD] and crowded.read_target(0).ignored.tolist() == [0]
    assert fingerprint(plain) != fingerprint(crowded)


@pytest.mark.parametrize(
    ("name", "folder", "split"),
    [
        ("annotations/instances_train2017.json", "train2017", "train"),
        ("annotations/instances_val2017.json", "images/val2017", "val"),
        ("instances_test.json", "test", "test"),
        ("instances_train.json", "images", "train"),
        ("labels.json", "images", "all"),
        ("train/_annotations.coco.json", "train", "train"),
        ("valid/_annotations.coco.json", "valid", "val"),
        ("annotations.json", ".", "all"),
        ("annotations/instances_default.json", "images/default", "all"),
        ("annotations/training_data.json", "images", "all"),
    ],
)
def test_each_layout_is_recognised_and_read(tmp_path, name, folder, split):
    write_set(tmp_path, name=name, folder=folder)
    assert is_coco(tmp_path)
    source = open_coco(tmp_path)
    assert list(source.splits) == [split]
    assert source.paths[0] == tmp_path / folder / "a.png"


def roboflow(*categories, used=(1, 18)):
    """The set with these categories, each (id, name, supercategory); its two classes have the ids in `used`."""
    content = copy.deepcopy(CONTENT)
    content["categories"] = [
        {"id": number, "name": name, **({"supercategory": parent} if parent is not ... else {})}
        for number, name, parent in categories
    ]
    for entry in content["annotations"]:
        entry["category_id"] = used[(1, 18).index(entry["category_id"])]
    return content


PARENTS = {
    "roboflow": (roboflow((0, "pets", "none"), (1, "cat", "pets"), (2, "dog", "pets"), used=(1, 2)), ["pets"]),
    "of the same name": (roboflow((0, "cat", "none"), (1, "cat", "cat"), (2, "dog", "cat"), used=(1, 2)), ["cat"]),
    "gaps and two": (
        roboflow((0, "pets", "none"), (9, "cat", "pets"), (3, "dogs", None), (30, "dog", "dogs"), used=(9, 30)),
        ["pets", "dogs"],
    ),
    "a chain": (
        roboflow((0, "all", "none"), (1, "pets", "all"), (2, "cat", "pets"), (3, "dog", "pets"), used=(2, 3)),
        ["all", "pets"],
    ),
    "not the first": (roboflow((1, "cat", "pets"), (2, "dog", "pets"), (3, "pets", ...), used=(1, 2)), ["pets"]),
}


@pytest.mark.parametrize("name", PARENTS)
def test_supercategories_without_annotations_are_left_out_and_named(tmp_path, name):
    content, parents = PARENTS[name]
    source = open_coco(write_set(tmp_path, content, name="train/_annotations.coco.json", folder="train"))
    assert source.classes == ("cat", "dog")
    assert [source.classes[k] for k in source.read_target(1).labels] == ["dog", "cat", "cat"]
    assert source.read_target(0).labels.tolist() == [0]
    notice = f"supercategories without annotations are not classes: {', '.join(parents)}"
    assert notice in source.notices
    report = check(tmp_path)
    assert notice in report.notices and report.errors == 0


KEPT = {
    "annotated": (roboflow((0, "pets", "none"), (1, "dog", "pets"), used=(0, 1)), ("pets", "dog")),
    "its own alone": (
        roboflow((1, "cat", "cat"), (2, "dog", "dog"), (3, "person", "person"), used=(1, 2)),
        ("cat", "dog", "person"),
    ),
    "of no other": (
        roboflow((0, "background", "none"), (1, "cat", "none"), (2, "dog", None), used=(1, 2)),
        ("background", "cat", "dog"),
    ),
    "of a crowd": (roboflow((0, "pets", "none"), (1, "cat", "pets"), (2, "dog", "pets"), used=(1, 2)), ()),
    "each of the other": (roboflow((0, "a", "b"), (1, "b", "a"), used=(0, 1)), ("a", "b")),
}
KEPT["of a crowd"][0]["annotations"][3]["category_id"] = 0
KEPT["of a crowd"] = (KEPT["of a crowd"][0], ("pets", "cat", "dog"))
KEPT["each of the other"][0]["annotations"].clear()


@pytest.mark.parametrize("name", KEPT)
def test_other_categories_stay_classes(tmp_path, name):
    content, classes = KEPT[name]
    source = open_coco(write_set(tmp_path, content))
    assert source.classes == classes
    assert check(source).errors == 0
    assert "supercategories" not in "".join(source.notices)


def test_a_supercategory_that_one_split_annotates_stays_a_class(tmp_path):
    listed = [(0, "pets", "none"), (1, "cat", "pets"), (2, "dog", "pets")]
    for split, used in (("train", (1, 2)), ("valid", (1, 2)), ("test", (0, 2))):
        write_set(tmp_path, roboflow(*listed, used=used), name=f"{split}/_annotations.coco.json", folder=split)
    source = open_coco(tmp_path)
    assert source.classes == ("pets", "cat", "dog")
    assert [source.classes[k] for k in source.read_target(7).labels] == ["dog", "pets", "pets"]
    for split in ("train", "valid", "test"):
        write_set(tmp_path, roboflow(*listed, used=(1, 2)), name=f"{split}/_annotations.coco.json", folder=split)
    source = open_coco(tmp_path)
    assert (source.classes, list(source.splits)) == (("cat", "dog"), ["train", "val", "test"])
    assert [source.classes[k] for k in source.read_target(7).labels] == ["dog", "cat", "cat"]


def test_two_used_categories_of_one_name_are_refused(tmp_path):
    content = roboflow((0, "cat", "none"), (1, "cat", "cat"), used=(0, 1))
    with pytest.raises(DataError, match="Each class needs a name of its own. .*received 'cat' twice"):
        open_coco(write_set(tmp_path, content))


def test_two_files_make_two_splits_and_other_files_are_ignored(tmp_path):
    write_set(tmp_path, name="annotations/instances_val2017.json", folder="val2017")
    write_set(tmp_path, name="annotations/instances_train2017.json", folder="train2017")
    write_set(tmp_path, name="annotations/person_keypoints_train2017.json", folder="train2017")
    source = open_coco(tmp_path, with_masks=True)
    assert {split: part.tolist() for split, part in source.splits.items()} == {"train": [0, 1, 2], "val": [3, 4, 5]}
    assert source.key(3) == "val2017/a.png"
    assert len(source.read_target(4)) == 3
    assert source.read_target(4).masks.sum() == source.read_target(1).masks.sum() > 0


DEEP = "[" * 100_000
CASES = [
    ("no JSON", '{"images": [', "is not JSON, or truncated"),
    ("not text", '{"images": [\udcff', "is not JSON, or truncated"),
    ("too deep", '{"images": [' + DEEP, "is nested too deeply"),
    ("digits", '{"images": [], "annotations": [' + "9" * 5000 + "]}", "is not JSON"),
    ("no images", changed("images", value=...), "'images' is needed. .*received the keys 'categories', 'annotations'"),
    ("images no list", changed("images", value={}), "'images' must be a valid list. .*received {}"),
    ("a list at the top", '["images"]', "An entry must be an object with .*received \\['images'\\]"),
    ("image no mapping", changed("images", 1, value=5), "An entry must be an object.*image 1 of.*received 5"),
    ("image without name", changed("images", 1, "file_name", value=...), "'file_name' is needed. image 1 of"),
    (
        "image's id",
        changed("images", 1, "id", value=1.5),
        "'id' must be a valid integer or string. .*image 1.*received 1.5",
    ),
    (
        "image's id is true",
        changed("images", 1, "id", value=True),
        "'id' must be a valid integer or string. .*received True",
    ),
    ("image twice", changed("images", 1, "id", value=7), "image needs an id of its own. .*image 1.*received 7 twice"),
    ("out of the folder", changed("images", 1, "file_name", value="../b.png"), "image 1 of.*received '../b.png'"),
    ("from the root", changed("images", 1, "file_name", value="/etc/passwd"), "file below.*'/etc/passwd'"),
    ("from Windows' root", changed("images", 1, "file_name", value="C:\\b.png"), "file below"),
    ("out with backslashes", changed("images", 1, "file_name", value="x\\..\\..\\b.png"), "file below"),
    ("no name", changed("images", 1, "file_name", value=""), "file below"),
    ("a zero byte", changed("images", 1, "file_name", value="\0"), "file below"),
    ("half a character", changed("images", 1, "file_name", value="\ud800.png"), "file below"),
    ("missing picture", changed("images", 1, "file_name", value="x.png"), "1 of 3 that .* not in.*first x.png"),
    ("missing first", changed("images", 0, "file_name", value="x.png"), "names x.png, which is not in.*Looked in"),
    ("a name too long", changed("images", 1, "file_name", value="x" * 5000), "first xxx"),
    ("picture twice", changed("images", 1, "file_name", value="a.png"), "lists 1 more than once, first .*a.png"),
    ("no pictures", changed("images", value=[]), "image_id must be an image's id"),
    (
        "huge size",
        changed("images", 1, "width", value=10**9),
        "80,000,000 pixels in all at most. .*received 1000000000 x 30",
    ),
    ("negative size", changed("images", 1, "width", value=-1), "received -1 x 30"),
    ("size no number", changed("images", 1, "width", value="40"), "whole numbers, of .*received '40' x 30"),
    (
        "category's id",
        changed("categories", 0, "id", value="x"),
        "'id' must be a valid integer. category 0 of.*received 'x'",
    ),
    ("category twice", changed("categories", 0, "id", value=1), "Each category needs an id of its own. .*received 1"),
    ("category's name twice", changed("categories", 0, "name", value="person"), "received 'person' twice"),
    ("category without name", changed("categories", 0, "name", value=" "), "A class needs a name. .*received ' '"),
    (
        "annotation no mapping",
        changed("annotations", 1, value=[]),
        "An entry must be an object.*annotation at place 1 of",
    ),
    ("no image_id", changed("annotations", 1, "image_id", value=...), "'image_id' is needed.*annotation 101 of"),
    ("unknown image", changed("annotations", 1, "image_id", value=8), "image's id. .*annotation 101 of.*received 8"),
    (
        "unknown category",
        changed("annotations", 1, "category_id", value=2),
        "category's id. annotation 101 .*received 2",
    ),
    ("no bbox", changed("annotations", 1, "bbox", value=...), "'bbox' is needed.*annotation 101 of"),
    (
        "short bbox",
        changed("annotations", 1, "bbox", value=[1, 2, 3]),
        "at least 4 items, not 3. annotation 101 of .*received .1, 2, 3.",
    ),
    (
        "bbox not finite",
        changed("annotations", 1, "bbox", 2, value=float("nan")),
        "'bbox'.2. .* a finite number. annotation 101 .*received nan",
    ),
    ("bbox infinite", changed("annotations", 1, "bbox", 2, value=float("inf")), "finite.*received inf"),
    ("bbox huge", changed("annotations", 1, "bbox", 2, value=10**400), "'bbox'.2. must be a valid number. .* 10000"),
    ("bbox of text", changed("annotations", 1, "bbox", 2, value="3"), "'bbox'.2. must be a valid .*received '3'"),
    ("bbox of lists", changed("annotations", 1, "bbox", 2, value=[3]), r"received \[3\]"),
    (
        "crowd",
        changed("annotations", 1, "iscrowd", value=[[]]),
        "must be 0 or 1. annotation 101 .*received \\[\\[\\]\\]",
    ),
]
OUTLINES = [
    ("no outline", ..., "needs an outline.*annotation 101 of .*received None"),
    ("empty", [], "needs an outline.*annotation 101 of .*received \\[\\]"),
    ("text", "abc", "'segmentation' must be polygons or run lengths. .*received 'abc'"),
    ("numbers", [1, 2, 3, 4, 5, 6], "A polygon must be a valid list. annotation 101 of.*received 1"),
    ("two points", [[1, 2, 3, 4]], "A polygon must have at least 6 items, not 4. .* 101 of.*received .1, 2, 3, 4."),
    ("odd", [[1, 2, 3, 4, 5, 6, 7]], "at least 3 points. .*received 7 numbers"),
    ("not finite", [[1, 2, 3, 4, 5, float("nan")]], "A polygon.5. must be a finite number. .*received nan"),
    ("far out", [[1, 2, 3, 4, 5, 1e8]], "leave its image by the image's size at most. .*received 1 to 1e\\+08"),
    ("size", {"size": [40, 30], "counts": [1200]}, r"height and width, 30, 40. .*annotation.*received \[40, 30\]"),
    ("size is text", {"size": "x", "counts": [1200]}, "height and width, 30, 40. .*received 'x'"),
    ("no counts", {"size": [30, 40]}, "Run lengths are whole numbers .*, or packed in a string. .*received None"),
    ("short", {"size": [30, 40], "counts": [600, 599]}, "annotation 101 of.*received 2 runs, 1,199 pixels"),
    ("long", {"size": [30, 40], "counts": [600, 601]}, "30 x 40 = 1,200 pixels. .*received 2 runs, 1,201 pixels"),
    ("none", {"size": [30, 40], "counts": []}, "received 0 runs, 0 pixels"),
    ("negative", {"size": [30, 40], "counts": [1300, -100]}, "Run lengths are whole numbers of 0 to 80,000,000"),
    ("huge", {"size": [30, 40], "counts": [10**30]}, "Run lengths are whole numbers"),
    ("fractions", {"size": [30, 40], "counts": [1200.0]}, "Run lengths are whole numbers"),
    ("packed badly", {"size": [30, 40], "counts": "\u00e9"}, "characters from '0' to 'o'. .*ann.*received '\u00e9'"),
    ("packed and cut", {"size": [30, 40], "counts": "5o"}, "the last of each is below 'P'. ann.*received '5o'"),
    ("packed too long", {"size": [30, 40], "counts": "o" * 9}, "characters from '0' to 'o'"),
    ("packed negative", {"size": [30, 40], "counts": "N"}, "A run has 0 to 80,000,000 pixels. .*received -2"),
    ("packed and short", {"size": [30, 40], "counts": "55"}, "received 2 runs, 10 pixels"),
]


@pytest.mark.parametrize(("content", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_error_names_the_place(tmp_path, content, message):
    write_set(tmp_path, CONTENT)
    path = tmp_path / "annotations/instances_train2017.json"
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=message):
        open_coco(tmp_path)


@pytest.mark.parametrize(("value", "message"), [case[1:] for case in OUTLINES], ids=[case[0] for case in OUTLINES])
def test_outline_error_is_raised_if_masks_are_read(tmp_path, value, message):
    write_set(tmp_path, changed("annotations", 1, "segmentation", value=value))
    assert len(open_coco(tmp_path)) == 3
    with pytest.raises(DataError, match=message):
        open_coco(tmp_path, with_masks=True)


def test_masks_need_the_size_of_the_image(tmp_path):
    write_set(tmp_path, changed("images", 0, "width", value=...))
    assert open_coco(tmp_path).size(0) is None
    with pytest.raises(DataError, match="height and width are whole numbers.*image 0 of .*received None x 30"):
        open_coco(tmp_path, with_masks=True)
    Image.new("RGB", (20, 30)).save(tmp_path / "images/train2017/b.png")
    (tmp_path / "annotations/instances_train2017.json").write_text(json.dumps(CONTENT))
    with pytest.raises(DataError, match="b.png is 20 wide and 30 high upright, and annotated as 40 wide and 30 high"):
        open_coco(tmp_path, with_masks=True).read(1)
    assert len(open_coco(tmp_path).read(1).target) == 3


def test_masks_that_would_fill_the_memory_are_refused(tmp_path):
    content = changed("annotations", 1, "segmentation", value=[[0, 0, 5, 0, 5, 5]])
    content["images"][0] |= {"height": 8000, "width": 8000}
    content["annotations"] = [content["annotations"][1] | {"id": k} for k in range(40)]
    source = open_coco(write_set(tmp_path, content), with_masks=True)
    with pytest.raises(DataError, match="may take 2 GiB.*a.png: received 40 objects on 8000 x 8000"):
        source.read_target(0)


def test_ambiguous_layout_is_refused(tmp_path):
    write_set(tmp_path)
    write_set(tmp_path, name="annotations/instances_train2014.json")
    with pytest.raises(DataError, match="instances_train2014.json and instances_train2017.json both hold train"):
        open_coco(tmp_path)
    write_set(tmp_path / "b", name="x.json")
    write_set(tmp_path / "b", name="train.json")
    with pytest.raises(DataError, match="x.json names no split, and there are others"):
        open_coco(tmp_path / "b")
    with pytest.raises(DataError, match="has a .json file with images, annotations and categories.*has none"):
        open_coco(tmp_path / "images")


def test_splits_with_differing_categories_are_refused(tmp_path):
    write_set(tmp_path)
    write_set(tmp_path, changed("categories", 0, "name", value="cat"), name="annotations/instances_val2017.json")
    with pytest.raises(DataError, match="same categories. .*instances_val2017.json has others"):
        open_coco(tmp_path)


def test_boxes_without_area_are_left_out_with_a_notice(tmp_path):
    write_set(tmp_path, changed("annotations", 2, "bbox", value=[3, 4, 0, 5]))
    source = open_coco(tmp_path, with_masks=True)
    assert source.read_target(1).labels.tolist() == [1, 0]
    assert source.read_target(1).masks.shape == (2, *SIZE)
    assert source.notices[1] == ("boxes without area were left out: 1, first annotation 102 of images/train2017/b.png")
    assert list(source.faults()) == [
        (
            "images/train2017/b.png",
            "annotation 102: the box from 3, 4 to 3, 9 has no area and was left out",
            "box-empty",
        )
    ]


def test_boxes_beyond_the_image_stay_and_are_faults(tmp_path):
    write_set(tmp_path, changed("annotations", 2, "bbox", value=[30.4, 4, 10, 5]))
    assert list(open_coco(tmp_path).faults()) == []
    write_set(tmp_path, changed("annotations", 2, "bbox", value=[-3, 25, 10, 15]))
    source = open_coco(tmp_path)
    assert source.read_target(1).boxes[1].tolist() == [-3, 25, 7, 40]
    key, sentence, kind = next(iter(source.faults()))
    assert (key, kind) == ("images/train2017/b.png", "box-outside")
    assert sentence == (
        "annotation 102: the box from -3, 25 to 7, 40 reaches 10.0 pixels beyond the image, which is 40 wide and "
        "30 high"
    )


def test_faults_read_the_image_if_no_size_is_annotated(tmp_path):
    content = changed("images", 1, "width", value=None)
    content["annotations"][0]["bbox"] = [0, 0, 50, 5]
    source = open_coco(write_set(tmp_path, content))
    assert [fault.key for fault in source.faults()] == ["images/train2017/b.png"]
    (tmp_path / "images/train2017/b.png").write_bytes(b"x")
    assert "not an image" in next(source.faults())[1]


def test_absent_categories_get_a_notice(tmp_path):
    content = copy.deepcopy(CONTENT)
    del content["annotations"][0]
    assert "train has no sample of 'dog'" in open_coco(write_set(tmp_path, content)).notices


def test_the_fingerprint_knows_boxes_and_outlines(tmp_path):
    before = fingerprint(open_coco(write_set(tmp_path)))
    assert before == fingerprint(open_coco(tmp_path))
    write_set(tmp_path, changed("annotations", 0, "bbox", 0, value=1.25))
    assert before != fingerprint(open_coco(tmp_path))


EVERYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([path for path in places(CONTENT) if path]), EVERYTHING | st.just(...))
def test_any_change_ends_in_an_error_or_a_read(tmp_path_factory, path, value):
    root = tmp_path_factory.mktemp("set")
    (root / "a.json").write_text(json.dumps(changed(*path, value=value)))
    for letter in "abc":
        (root / f"{letter}.png").write_bytes(b"x")
    for with_masks in (False, True):
        try:
            source = open_coco(root, with_masks=with_masks)
        except DataError:
            continue
        if source.size(0):
            for index in range(len(source)):
                if source.size(index):
                    source.read_target(index)
        list(source.faults())


masks = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0, 1)).map(
    lambda drawn: np.random.default_rng(drawn[2]).random(drawn[:2]) < drawn[3]
)


def encode(runs):
    """Run lengths as pycocotools packs them."""
    return api.frPyObjects({"size": [1, int(sum(runs))], "counts": runs}, 1, int(sum(runs)))["counts"].decode()


@given(masks)
def test_run_lengths_are_those_of_pycocotools(mask):
    packed = api.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    flat = mask.T.ravel()
    runs = np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat, prepend=False)), [flat.size]]))
    assert np.array_equal(unpack_runs(packed), runs)
    assert np.array_equal(draw_outline([runs], *mask.shape), mask)


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=30))
def test_packed_runs_of_any_length_come_back(runs):
    assert unpack_runs(encode(runs)).tolist() == runs


coordinate = st.floats(-15, 45) | st.integers(-10, 40)


@OLD_PYCOCOTOOLS
@given(
    st.lists(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=9), min_size=1, max_size=3),
    st.integers(1, 30), st.integers(1, 30),
)  # fmt: skip
def test_polygons_are_drawn_as_pycocotools_does(polygons, height, width):
    flat = [[float(value) for point in polygon for value in point] for polygon in polygons]
    wanted = np.zeros((height, width), bool)
    for polygon in flat:
        wanted |= api.decode(api.frPyObjects([polygon], height, width))[:, :, 0].astype(bool)
    outline = [np.array(polygon, float) for polygon in polygons]
    assert np.array_equal(draw_outline(outline, height, width), wanted)
    own = np.zeros((height, width), bool)
    for polygon in outline:
        runs = polygon_runs(polygon, height, width)
        assert runs.sum() == height * width
        own |= draw_outline([runs], height, width)
    assert np.array_equal(own, wanted)


FINER = 5  # places in a pixel, as pycocotools has it


def polygon_runs(polygon, height, width):
    """The run lengths of a polygon (P, 2) of x and y by the even-odd rule, written again: the oracle of the drawing."""
    corners = (FINER * polygon + 0.5).astype(np.int64).tolist()
    pairs = zip(corners, corners[1:] + corners[:1], strict=True)
    crossings = [crossed(start, end, height, width) for start, end in pairs]
    return np.diff(np.sort(np.concatenate([*crossings, [height * width]])), prepend=0).astype(np.int64)


def crossed(start, end, height, width):
    """The places, counted column by column, at which an edge crosses the middle of a column."""
    (x0, y0), (x1, y1) = start, end
    flat = abs(x1 - x0) >= abs(y1 - y0)
    if (x0 > x1) if flat else (y0 > y1):
        (x0, y0), (x1, y1) = (x1, y1), (x0, y0)
    steps = np.arange((x1 - x0 if flat else y1 - y0) + 1)
    if flat:
        x, y = x0 + steps, (y0 + (y1 - y0) / max(1, x1 - x0) * steps + 0.5).astype(np.int64)
    else:
        x, y = (x0 + (x1 - x0) / (y1 - y0) * steps + 0.5).astype(np.int64), y0 + steps
    left, upper = np.minimum(x[1:], x[:-1]), np.minimum(y[1:], y[:-1])
    column, off = np.divmod(left - FINER // 2, FINER)
    here = (x[1:] != x[:-1]) & (off == 0) & (column >= 0) & (column < width)
    rows = -((FINER // 2 - upper[here]) // FINER)
    return column[here] * height + np.clip(rows, 0, height)


@given(st.text(max_size=20) | st.text(st.sampled_from([chr(k) for k in range(48, 112)]), max_size=20))
def test_any_string_is_unpacked_or_refused(packed):
    try:
        runs = unpack_runs(packed)
    except DataError:
        return
    assert (runs >= 0).all()


def test_runs_that_do_not_sum_up_are_refused():
    with pytest.raises(DataError, match="2 x 3 = 6 pixels. here: received 2 runs, 7 pixels"):
        check_runs(np.array([3, 4]), 2, 3, "here")


def test_boxes_and_run_lengths_need_no_pycocotools(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    content = copy.deepcopy(CONTENT)
    del content["annotations"][0]
    write_set(tmp_path, content)
    assert len(open_coco(tmp_path).read(1).target) == 2
    assert open_coco(tmp_path, with_masks=True).read(0).target.masks.sum() == PACKED.sum()
    write_set(tmp_path, CONTENT)
    source = open_coco(tmp_path, with_masks=True)
    with pytest.raises(
        DataError, match=r"needs pycocotools, which is not installed. .*pip install neocog\[annotations\]"
    ):
        source.read(1)
