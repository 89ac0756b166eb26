import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neocog.annotations.outlines import draw_outline
from neocog.annotations.yolo import is_yolo, open_yolo, read_settings
from neocog.dataset.record import fingerprint, num_left_out
from neocog.errors import DataError

SETTINGS = "train: images/train\nval: images/val\nnames: [cat, dog, ant]\nnc: 3\n"
LABELS = {
    "train/a": "0 0.5 0.5 0.5 0.5\n2 0.25 0.1 0.5 0.2\n",
    "train/b": "1 0.1 0.2 0.5 0.2 0.3 0.8",
    "val/c": "0 0.5 0.5 1 1\n\n1 1 1 0.5 0.5\n2 .5 .5 .1 .1",
}
POLYGON = {"train/a": "0 0.1 0.1 0.9 0.1 0.9 0.55", "train/b": "1 0 0 0 1 1 1 1 0\n2 0.1 0.1 0.2 0.2 0.1 0.2"}


def picture(path, size=(40, 30), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path, **options)


def write_set(root, labels=LABELS, settings=SETTINGS):
    for stem, lines in labels.items():
        picture(root / "images" / f"{stem}.jpg")
        path = root / "labels" / f"{stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines)
    (root / "data.yaml").write_text(settings)
    return root


ALONE = "train: images/train\nnames: [cat, dog, ant]\n"


def test_lines_are_boxes_in_pixels(tmp_path):
    write_set(tmp_path)
    assert is_yolo(tmp_path) and is_yolo(tmp_path / "data.yaml")
    for path in (tmp_path, tmp_path / "data.yaml"):
        source = open_yolo(path)
        assert (source.task, source.format, source.classes) == ("detection", "yolo", ("cat", "dog", "ant"))
        assert {split: part.tolist() for split, part in source.splits.items()} == {"train": [0, 1], "val": [2]}
        assert (source.targets.tolist(), source.size(0)) == ([-1] * 3, None)
        record = source.read(0)
        assert record.key == "images/train/a.jpg"
        assert record.payload == (tmp_path / record.key).read_bytes()
        assert record.target.labels.tolist() == [0, 2]
        np.testing.assert_allclose(record.target.boxes, [[10, 7.5, 30, 22.5], [0, 0, 20, 6]], atol=1e-5)
        np.testing.assert_allclose(source.read_target(1).boxes, [[4, 6, 20, 24]], atol=1e-5)
        np.testing.assert_allclose(source.read_target(2).boxes[1], [30, 22.5, 50, 37.5], atol=1e-5)
    assert source.notices == ()


def test_boxes_are_those_of_the_upright_image(tmp_path):
    write_set(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 8
    picture(tmp_path / "images/train/a.jpg", exif=exif)
    target = open_yolo(tmp_path).read(0).target
    np.testing.assert_allclose(target.boxes[0], [7.5, 10, 22.5, 30], atol=1e-5)


@pytest.mark.parametrize("size", [(40, 30), (640, 479), (7, 1000)])
def test_outlines_become_masks(tmp_path, size):
    write_set(tmp_path, POLYGON, ALONE)
    picture(tmp_path / "images/train/a.jpg", size)
    source = open_yolo(tmp_path, with_masks=True)
    target = source.read(0).target
    corners = np.array([[0.1, 0.1], [0.9, 0.1], [0.9, 0.55]]) * size
    np.testing.assert_allclose(target.boxes, [[*corners.min(axis=0), *corners.max(axis=0)]], rtol=1e-6)
    assert np.array_equal(target.masks[0], draw_outline([corners], size[1], size[0]))
    assert source.read_target(1).masks.shape == (2, 30, 40)
    assert source.read_target(1).masks[0].all()
    write_set(tmp_path, settings=ALONE)
    with pytest.raises(DataError, match=r"needs an outline, x1 y1 x2 y2 x3 y3 \.\.\. .*a\.txt:1: received a box"):
        open_yolo(tmp_path, with_masks=True)


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ("names: [cat, dog, ant]", ("cat", "dog", "ant")),
        ("names: {1: dog, 0: cat, 2: ant}", ("cat", "dog", "ant")),
        ("names: [7, 8, 9]", ("7", "8", "9")),
        ("nc: 3", ("0", "1", "2")),
        ("nc: 3\nnames: [cat, 'no', ant]", ("cat", "no", "ant")),
    ],
)
def test_names_are_a_list_or_a_mapping(tmp_path, names, classes):
    assert open_yolo(write_set(tmp_path, settings=f"train: images/train\n{names}")).classes == classes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [cat, dog]\nnc: 3", "nc must be the number of names. .*received nc 3, 2 names"),
        ("nc: many", "'nc' must be a valid integer. .*data.yaml: received 'many'"),
        ("nc: 1000000000", "received 1000000000"),
        ("nc: true", "received True"),
        ("names: cat", "names must be a list, or a mapping from numbers. .*received 'cat'"),
        ("names: []", r"received \[\]"),
        ("names: {0: cat, 2: dog}", "number the classes 0, 1, 2, ... .*received 0, 2"),
        ("names: {0: cat, x: dog}", "number the classes"),
        ("names: [cat, no]", "A class needs a name. .*data.yaml: received False. Put it in quotes"),
        ("names: [cat, cat]", "name of its own. .*received 'cat' twice"),
        ("names: [cat, [dog]]", r"A class needs a name. .*received \['dog'\]"),
        ('names: [cat, "\\uD800"]', "A class needs a name"),
        ("names: [0x" + "f" * 5000 + ", cat]", "A class needs a name. .*received a huge number"),
        ("names: [cat]\nkpt_shape: [17, 3]", "Keypoints are not read. .*data.yaml has kpt_shape"),
        ("names: &a [cat]\nothers: [*a, *a]", "repeats nothing by alias"),
        ("names: [2001-99-99]", "is not YAML, or damaged"),
        ("names: [", "is not YAML, or damaged"),
        ("names: " + "[" * 50_000, "nested 16 deep at most"),
        ("names: !!python/object/apply:os.getcwd []", "is not YAML, or damaged"),
        ("names: \x01", "is not YAML, or damaged"),
        ("#" + "x" * 300_000, "may have at most 262,144 bytes. .*data.yaml: received 300,0"),
    ],
)
def test_invalid_settings_are_refused(tmp_path, text, message):
    write_set(tmp_path, settings=f"train: images/train\n{text}")
    with pytest.raises(DataError, match=message) as error:
        open_yolo(tmp_path)
    assert "data.yaml" in str(error.value)


def test_settings_without_a_mapping_are_refused(tmp_path):
    (tmp_path / "data.yaml").write_text("[1, 2]")
    with pytest.raises(DataError, match=r"is a mapping with train and names. .*data.yaml.*received \[1, 2\]"):
        read_settings(tmp_path / "data.yaml")
    with pytest.raises(DataError, match="has none of data.yaml, data.yml"):
        open_yolo(tmp_path / "nowhere")
    (tmp_path / "data.yaml").write_text("names: [a]")
    with pytest.raises(DataError, match="must name the folder of train"):
        open_yolo(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        "train: ../outside",
        "train: images/../../outside",
        "train: /etc",
        "path: ..\ntrain: set/images/train",
        "path: /tmp\ntrain: images/train",
        "train: ../../images/train",
    ],
)
def test_paths_that_leave_the_folder_are_refused(tmp_path, settings):
    picture(tmp_path / "outside/a.jpg")
    write_set(tmp_path / "set", settings=f"{settings}\nnames: [cat, dog, ant]")
    with pytest.raises(DataError, match=r"must be in the folder of data.yaml.*received '.*(\.\.|/etc|/tmp)"):
        open_yolo(tmp_path / "set")


@pytest.mark.parametrize(
    ("settings", "count", "notice"),
    [
        ("path: .\ntrain: images/train", 2, ()),
        ("path: images\ntrain: train", 2, ()),
        ("train: [images/train, images/val]", 3, ()),
        ("train: images", 3, ()),
        ("train: images/val/../train", 2, ()),
        ("train: list.txt", 2, ()),
        ("train: ../images/train", 2, ("../images/train in data.yaml is read as images/train",)),
        ("path: {}\ntrain: images/train", 2, ()),
    ],
)
def test_paths_within_the_folder_are_read(tmp_path, settings, count, notice):
    write_set(tmp_path, settings=settings.format(tmp_path) + "\nnames: [cat, dog, ant]")
    (tmp_path / "list.txt").write_text(f"./images/train/a.jpg\n\n{tmp_path}/images/val/c.jpg\n")
    source = open_yolo(tmp_path)
    assert len(source) == count
    (*told, last) = [n for n in source.notices if "no record" not in n] + ([""] if count == 3 else [])
    first = "images/train/b.jpg" if "list.txt" in settings else "images/val/c.jpg"
    assert last == ("" if count == 3 else f"images that data.yaml does not name are left out: 1, first {first}")
    assert num_left_out(source) == 3 - count
    assert tuple(told) == notice


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("train: images/nowhere", "neither a folder nor a list of images at .*images/nowhere"),
        ("train: 5", "must be paths. .*received 5"),
        ("train: [[images]]", r"must be paths. .*received \['images'\]"),
        ('train: "images\\0"', "must be paths"),
        (
            "train: images/train\nval: images",
            "belongs to one split.*lists 2 more than once, first images/train/a",
        ),
        ("train: list.txt", r"must name an image below .*list.txt:2.*received 'images/x.jpg'"),
        ("train: out.txt", r"must name an image below .*out.txt:1.*received '../a.jpg'"),
        ("train: empty", "needs at least one image"),
        ("train: " + "x" * 5000, "neither a folder nor a list"),
    ],
)
def test_missing_images_are_refused(tmp_path, settings, message):
    write_set(tmp_path / "set", settings=f"{settings}\nnames: [cat, dog, ant]")
    picture(tmp_path / "a.jpg")
    (tmp_path / "set/list.txt").write_text("images/train/a.jpg\nimages/x.jpg")
    (tmp_path / "set/out.txt").write_text("../a.jpg")
    (tmp_path / "set/empty").mkdir()
    with pytest.raises(DataError, match=message):
        open_yolo(tmp_path / "set")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3 0.5 0.5 0.1 0.1", "A class is 0 to 2. .*received 3"),
        ("-1 0.5 0.5 0.1 0.1", "A class is 0 to 2. .*received -1"),
        ("0.5 0.5 0.5 0.1 0.1", "A class is 0 to 2. .*received 0.5"),
        ("nan 0.5 0.5 0.1 0.1", "A line holds numbers. .*received 'nan 0.5"),
        ("1e99 0.5 0.5 0.1 0.1", "A line holds numbers"),
        ("0 0.5 0.5 0.1 1.01", "are shares, 0 to 1, of the image. .*received 1.01"),
        ("0 -0.1 0.5 0.1 1", "received -0.1"),
        ("0 nan 0.5 0.1 1", "received nan"),
        ("0 0.5 0.5 0.1 12", "received 12"),
        ("0 0.1 0.1 0.2 0.2 0.1 1.5", "received 1.5"),
        ("0 0.5 0.5 0.1", "received 4 fields"),
        ("0 0.5 0.5 0.1 0.1 0.9", "received 6 fields"),
        ("0 0.5 0.5 0.1 0.1 0.9 0.8 0.7", "received 8 fields"),
        ("0 0.5 x 0.1 0.1", "A line holds numbers. .*received '0 0.5 x 0.1 0.1'"),
        ("0 0.5 0.5 0.1 0.1_0", "A line holds numbers"),
    ],
)
def test_faulty_line_is_refused_with_its_number(tmp_path, line, message):
    write_set(tmp_path, LABELS | {"train/b": f"0 .5 .5 .1 .1\n\n{line}\n"})
    with pytest.raises(DataError, match=message) as error:
        open_yolo(tmp_path)
    assert error.value.where == f"{tmp_path}/labels/train/b.txt:3"


def test_rounding_beyond_the_edge_is_not_a_fault(tmp_path):
    source = open_yolo(write_set(tmp_path, {"train/a": "0 0.5 0.5 1.0000001 1"}, ALONE))
    assert list(source.faults()) == []


def test_images_without_label_file_have_no_objects(tmp_path):
    write_set(tmp_path)
    (tmp_path / "labels/train/b.txt").unlink()
    (tmp_path / "labels/val/c.txt").write_text("")
    (tmp_path / "images/train/x.heic").write_text("")
    source = open_yolo(tmp_path)
    assert len(source.read(1).target) == len(source.read(2).target) == 0
    assert source.notices[:2] == (
        "images without a label file, taken as without objects: 1",
        "files that are not images were ignored: 1 .heic",
    )
    (tmp_path / "labels/train/a.txt").unlink()
    (tmp_path / "labels/val/c.txt").unlink()
    with pytest.raises(DataError, match=r"No image of .* has any; the first would be .*labels/train/a\.txt"):
        open_yolo(tmp_path)


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [("train/images", "train/labels"), ("images", "labels"), ("images/images/x", "images/labels/x"), ("all", "all")],
)
def test_labels_folder_replaces_images_folder(tmp_path, pictures, labels):
    picture(tmp_path / pictures / "a.jpg")
    (tmp_path / labels).mkdir(parents=True, exist_ok=True)
    (tmp_path / labels / "a.txt").write_text("1 0.5 0.5 0.5 0.5")
    (tmp_path / "data.yaml").write_text(f"train: {pictures}\nnc: 2")
    assert open_yolo(tmp_path).read_target(0).labels.tolist() == [1]


def test_boxes_without_area_or_beyond_the_image_are_faults(tmp_path):
    source = open_yolo(write_set(tmp_path, {"train/a": "0 .5 .5 0 .5\n1 1 .5 .5 .5\n2 .5 .5 1e-9 .2"}, ALONE))
    assert source.read_target(0).labels.tolist() == [1]
    assert source.notices[0] == "boxes without area were left out: 2, first line 1 of images/train/a.jpg"
    assert [sentence for _, sentence, _ in source.faults()] == [
        "line 1: the box from 20, 7.5 to 20, 22.5 has no area and was left out",
        "line 2: the box from 30, 7.5 to 50, 22.5 reaches 10.0 pixels beyond the image, which is 40 wide and 30 high",
        "line 3: the box from 20, 12 to 20, 18 has no area and was left out",
    ]


def test_label_file_that_is_not_text_is_refused(tmp_path):
    write_set(tmp_path)
    (tmp_path / "labels/train/a.txt").write_bytes(b"0 \xff")
    with pytest.raises(DataError, match=r"a\.txt is not UTF-8: .* at byte 2"):
        open_yolo(tmp_path)


def test_image_without_a_readable_header_is_refused(tmp_path):
    write_set(tmp_path)
    (tmp_path / "images/train/a.jpg").write_bytes(b"x")
    source = open_yolo(tmp_path)
    for read in (source.read, source.read_target):
        with pytest.raises(DataError, match=r"a\.jpg: received a file that is not an image"):
            read(0)
    (tmp_path / "images/train/a.jpg").unlink()
    with pytest.raises(DataError, match=r"a\.jpg can't be read: No such file"):
        source.read(0)


def test_the_fingerprint_knows_boxes_and_outlines(tmp_path):
    def of(line, **options):
        write_set(tmp_path, {"train/a": line}, ALONE)
        return fingerprint(open_yolo(tmp_path, **options))

    assert of("0 .5 .5 .5 .5") == of("0 .5 .5 .5 .5") != of("0 .5 .5 .5 .25")
    assert of("0 0 0 1 0 1 1", with_masks=True) != of("0 0 0 1 0 0.9 1 1 1", with_masks=True)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_damage_ends_in_an_error_or_a_read(tmp_path_factory, data):
    root = write_set(tmp_path_factory.mktemp("set"), POLYGON, ALONE)
    path = root / data.draw(st.sampled_from(["data.yaml", "labels/train/a.txt", "labels/train/b.txt"]))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    is_yolo(root)
    try:
        source = open_yolo(root, with_masks=True)
    except DataError:
        return
    source.read(0)
    list(source.faults())
