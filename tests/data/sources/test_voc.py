import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neocog.annotations.voc import is_voc, is_voc_masks, open_voc, open_voc_masks, parse_xml
from neocog.dataset.record import DIFFICULT, fingerprint
from neocog.errors import DataError

OBJECT = """<object><name>{}</name><pose>Left</pose><truncated>1</truncated><difficult>{}</difficult>
<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part></object>"""
SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"


def xml(*objects, size=SIZE, difficult=0):
    inside = "".join(OBJECT.format(name, difficult, *box) for name, *box in objects)
    return f"<annotation><filename>elsewhere/x.jpg</filename>{size}{inside}</annotation>"


def write_set(root, annotations, **splits):
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for stem, content in annotations.items():
        Image.new("RGB", (40, 30)).save(root / f"JPEGImages/{stem}.jpg")
        (root / f"Annotations/{stem}.xml").write_text(content)
    for split, stems in splits.items():
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(stems) + "\n")
    return root


TWO = {"a": xml(("dog", 1, 1, 40, 30), ("cat", 5, 6, 5, 6)), "b": xml(("ant", 2.5, 3, 20.25, 9), difficult=1)}


def test_boxes_count_from_1_and_include_their_last_pixel(tmp_path):
    source = open_voc(write_set(tmp_path, TWO))
    assert is_voc(tmp_path)
    assert (source.task, source.format, source.classes) == ("detection", "voc", ("ant", "cat", "dog"))
    assert (source.splits["all"].tolist(), source.targets.tolist(), source.size(0)) == ([0, 1], [-1, -1], (30, 40))
    record = source.read(0)
    assert record.key == "JPEGImages/a.jpg"
    assert record.payload == (tmp_path / record.key).read_bytes()
    assert record.target.boxes.tolist() == [[0, 0, 40, 30], [4, 5, 5, 6]]
    assert record.target.labels.tolist() == [2, 1]
    assert source.read_target(1).boxes.tolist() == [[1.5, 2, 20.25, 9]]
    assert record.target.ignored.tolist() == [0, 0]
    assert source.read_target(1).ignored.tolist() == [DIFFICULT]
    assert list(source.faults()) == []
    assert source.notices == ("difficult objects are neither learned nor scored: 1",)


def test_a_box_drawn_by_hand_covers_its_object(tmp_path):
    pixels = np.zeros((30, 40), np.uint8)
    pixels[9:20, 4:15] = 255  # rows 10..20 and columns 5..15, counted from 1
    write_set(tmp_path, {"a": xml(("dog", 5, 10, 15, 20))})
    left, top, right, bottom = open_voc(tmp_path).read_target(0).boxes[0].astype(int)
    assert pixels[top:bottom, left:right].all()
    assert pixels.sum() == pixels[top:bottom, left:right].sum()


ONE = {stem: xml(("dog", 1, 1, 2, 2)) for stem in "abcdef"}


@pytest.mark.parametrize(
    ("files", "splits", "notices"),
    [
        ({"train": "ca", "val": "b", "test": "d", "trainval": "abc"}, {"train": "ca", "val": "b", "test": "d"}, 2),
        ({"trainval": "abc", "test": "def"}, {"train": "abc", "test": "def"}, 0),
        ({"trainval": "abc", "val": "c", "test": "def"}, {"train": "abc", "test": "def"}, 0),
        ({"train": "abcdef", "dog_train": "ab"}, {"train": "abcdef"}, 0),
        ({}, {"all": "abcdef"}, 0),
    ],
)
def test_splits_are_those_of_the_image_sets(tmp_path, files, splits, notices):
    source = open_voc(write_set(tmp_path, ONE, **files))
    found = {split: "".join(source.paths[i].stem for i in part) for split, part in source.splits.items()}
    assert found == splits
    left = (
        (f"annotated images that are in no split are left out: {notices}, first JPEGImages/e.jpg",) if notices else ()
    )
    assert source.notices == left


def test_images_without_annotation_get_a_notice(tmp_path):
    write_set(tmp_path, ONE)
    (tmp_path / "Annotations/c.xml").unlink()
    source = open_voc(tmp_path)
    assert len(source) == 5
    assert source.notices == ("images without annotations are left out: 1, first JPEGImages/c.jpg",)


def test_the_size_may_be_missing_or_0(tmp_path):
    for size in ("", "<size><width>0</width><height>0</height></size>"):
        source = open_voc(write_set(tmp_path, {"a": xml(("dog", 0, 1, 60, 30), size=size)}))
        assert source.size(0) is None
        assert "reaches 20.0 pixels beyond the image, which is 40 wide and 30 high" in next(source.faults())[1]


def test_boxes_without_area_are_left_out_with_a_notice(tmp_path):
    source = open_voc(write_set(tmp_path, {"a": xml(("dog", 9, 9, 8, 12), ("dog", 1, 1, 1, 1))}))
    assert source.read_target(0).boxes.tolist() == [[0, 0, 1, 1]]
    assert source.notices == ("boxes without area were left out: 1, first object 1 of JPEGImages/a.jpg",)
    assert list(source.faults()) == [
        ("JPEGImages/a.jpg", "object 1: the box from 8, 8 to 8, 12 has no area and was left out", "box-empty")
    ]


BOMB = '<!DOCTYPE a [<!ENTITY b "xxxx"><!ENTITY c "&b;&b;&b;">]><annotation>&c;</annotation>'
DOG = xml(("dog", 1, 1, 2, 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not XML, or damaged"),
        ("<annotation>", "is not XML, or damaged"),
        (BOMB, "declares no document type and no entities.*Remove its DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "declares no document type"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "is not XML, or damaged: unknown encoding"),
        ('<?xml version="1.0" encoding="utf-7"?><annotation/>', "is not XML, or damaged"),
        ("<annotation>&other;</annotation>", "is not XML, or damaged: undefined entity"),
        ("<a>" * 40 + "</a>" * 40, "nested 32 deep at most"),
        (DOG.replace("<name>dog</name>", ""), "need <name>. object 1 of .*received none"),
        (DOG.replace("dog", " "), "need <name>. object 1 of .*received none"),
        (DOG.replace("bndbox", "box"), "need <bndbox>. object 1 of .*received none"),
        (DOG.replace("xmax", "xmox", 2), "need <xmax>. object 1 of .*received none"),
        (DOG.replace("<xmin>1", "<xmin>one"), "<xmin> must be a number of pixels. .*object 1 of.*received 'one'"),
        (DOG.replace("<xmin>1", "<xmin>nan"), "received 'nan'"),
        (DOG.replace("<xmin>1", "<xmin>1_0"), "received '1_0'"),
        (DOG.replace("<xmin>1", "<xmin>1e99"), "received '1e99'"),
        (DOG.replace("<width>40", "<width>x"), "<width> must be a number.*<size> of"),
        (DOG.replace("<width>40", "<width>-40"), "1 to 80,000,000 pixels. .*received -40 x 30"),
        (DOG.replace("<width>40", "<width>40000000"), "80,000,000 pixels. .*received 4e\\+07 x 30"),
        (DOG.replace("<width>40", "<width>40.5"), "received 40.5 x 30"),
    ],
)
def test_error_names_the_file(tmp_path, content, message):
    write_set(tmp_path, {"a": DOG, "b": content})
    with pytest.raises(DataError, match=message) as error:
        open_voc(tmp_path)
    assert "b.xml" in str(error.value)


def test_a_file_that_is_too_long_is_refused(tmp_path):
    (tmp_path / "a.xml").write_bytes(b" " * (2**24 + 1))
    with pytest.raises(DataError, match="may have at most 16,777,216 bytes. .*a.xml: received 16,777,217"):
        parse_xml(tmp_path / "a.xml")


def test_parts_that_do_not_match_are_refused(tmp_path):
    write_set(tmp_path, ONE, train="ax")
    with pytest.raises(DataError, match="names annotated images. .*train.txt: received 'x' in line 2, 1"):
        open_voc(tmp_path)
    write_set(tmp_path, ONE, train="ab", val="b")
    with pytest.raises(DataError, match="lists 1 more than once, first JPEGImages/b.jpg"):
        open_voc(tmp_path)
    write_set(tmp_path, ONE, train="ab", val="")
    with pytest.raises(DataError, match="val.txt: received nothing"):
        open_voc(tmp_path)
    (tmp_path / "JPEGImages/c.jpg").unlink()
    with pytest.raises(DataError, match="in JPEGImages. .*received 1 without one, first c.xml"):
        open_voc(tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "JPEGImages/a.png")
    with pytest.raises(DataError, match="received a.jpg and a.png"):
        open_voc(tmp_path)
    with pytest.raises(DataError, match="images are in JPEGImages. .* has none"):
        open_voc(tmp_path / "Annotations")


def write_masks(root):
    write_set(root, ONE)
    (root / "SegmentationClass").mkdir()
    for k, stem in enumerate("bcd"):
        mask = Image.fromarray(np.full((30, 40), [0, 20, 255][k], np.uint8))
        mask.putpalette(list(range(256)) * 3)
        mask.save(root / f"SegmentationClass/{stem}.png")
    return root


def test_masks_have_vocs_classes_or_those_of_a_table(tmp_path):
    write_masks(tmp_path)
    assert is_voc(tmp_path) and not is_voc_masks(tmp_path)
    source = open_voc_masks(tmp_path)
    assert (source.task, source.format, len(source.classes)) == ("segmentation", "voc-masks", 21)
    assert (source.classes[0], source.classes[15], source.classes[20]) == ("background", "person", "tvmonitor")
    assert [int(source.read(i).target[0, 0]) for i in range(3)] == [0, 20, 255]
    assert source.key(0) == "JPEGImages/b.jpg"
    assert source.notices == ("images without masks are left out: 3, first JPEGImages/a.jpg",)
    (tmp_path / "classes.txt").write_text("\n".join(f"c{k}" for k in range(30)))
    assert open_voc_masks(tmp_path).classes[20] == "c20"


def test_masks_have_splits_of_their_own(tmp_path):
    write_masks(tmp_path)
    (tmp_path / "ImageSets/Segmentation").mkdir()
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("d\nb")
    source = open_voc_masks(tmp_path)
    assert [source.key(i) for i in source.splits["train"]] == ["JPEGImages/d.jpg", "JPEGImages/b.jpg"]
    assert int(source.read_target(0)[0, 0]) == 255
    for file in (tmp_path / "Annotations").iterdir():
        file.unlink()
    assert is_voc_masks(tmp_path) and not is_voc(tmp_path)
    (tmp_path / "JPEGImages/b.jpg").unlink()
    with pytest.raises(DataError, match="Each mask needs an image .*received 1 without one, first b.png"):
        open_voc_masks(tmp_path)


def test_set_without_masks_is_refused(tmp_path):
    with pytest.raises(DataError, match="in JPEGImages. .*received no masks"):
        open_voc_masks(write_set(tmp_path, ONE))


def test_the_fingerprint_knows_boxes(tmp_path):
    before = fingerprint(open_voc(write_set(tmp_path, {"a": DOG})))
    assert before == fingerprint(open_voc(tmp_path))
    assert before != fingerprint(open_voc(write_set(tmp_path, {"a": xml(("dog", 1, 1, 2, 3))})))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_damaged_file_ends_in_an_error_or_a_read(tmp_path_factory, data):
    root = write_set(tmp_path_factory.mktemp("set"), {"a": DOG})
    content = bytearray(DOG.encode())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    (root / "Annotations/a.xml").write_bytes(content)
    try:
        source = open_voc(root)
    except DataError:
        return
    source.read(0)
    list(source.faults())
