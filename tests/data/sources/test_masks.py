import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neocog.annotations.coco import is_coco
from neocog.annotations.mask_folder import is_mask_folder, open_mask_folder, read_table
from neocog.annotations.voc import is_voc, is_voc_masks
from neocog.annotations.yolo import is_yolo
from neocog.dataset.record import fingerprint
from neocog.errors import DataError

VALUES = np.array([[0, 1, 2, 2], [0, 0, 255, 2], [1, 1, 1, 0]], np.uint8)
PICTURE = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if mode == "P":
        image.putpalette([(7 * k) % 256 for k in range(768)])
    image.save(path, **options)


def grey_png(values, bits):
    """A grey PNG of 1, 2 or 4 bits, written by hand: Pillow writes only the first."""
    rows = []
    for row in values:
        number = int("".join(f"{v:0{bits}b}" for v in row).ljust(-(-len(row) * bits // 8) * 8, "0"), 2)
        rows.append(b"\0" + number.to_bytes(-(-len(row) * bits // 8), "big"))

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + chunk(b"IEND", b"")
    )


def write_set(root, masks, *, names=None, mode=None):
    """A set with these masks, a, b, c and so on."""
    for letter, mask in zip("abcdefgh", masks, strict=False):
        save(root / "images" / f"{letter}.png", PICTURE)
        save(root / "masks" / f"{letter}.png", mask, mode)
    if names:
        (root / "classes.txt").write_text("\n".join(names))
    return root


@pytest.mark.parametrize("masks", ["masks", "labels", "annotations", "Masks"])
@pytest.mark.parametrize(
    ("images", "partner", "splits"),
    [
        ("images", "{}", ["all"]),
        ("images/train", "{}/train", ["train"]),
        ("train/images", "train/{}", ["train"]),
        ("images/deeper/still", "{}/deeper/still", ["all"]),
    ],
)
def test_each_layout_is_recognised_and_read(tmp_path, masks, images, partner, splits):
    save(tmp_path / images / "a.jpg", PICTURE)
    save(tmp_path / partner.format(masks) / "a.png", VALUES)
    assert is_mask_folder(tmp_path)
    source = open_mask_folder(tmp_path)
    assert list(source.splits) == splits
    assert (source.modality, source.task, source.format) == ("image", "segmentation", "masks")
    record = source.read(0)
    assert record.key == f"{images}/a.jpg"
    assert record.payload == (tmp_path / images / "a.jpg").read_bytes()
    assert record.target.dtype == np.uint8
    assert np.array_equal(record.target, VALUES)
    assert source.size(0) == (3, 4)
    assert source.targets.tolist() == [-1]
    assert list(source.faults()) == []


@pytest.mark.parametrize("outer", [True, False])
def test_splits_are_kept_in_order(tmp_path, outer):
    for split, count in (("test", 1), ("train", 3), ("valid", 2)):
        for k in range(count):
            pair = (f"{split}/images", f"{split}/masks") if outer else (f"images/{split}", f"masks/{split}")
            save(tmp_path / pair[0] / f"{k}.png", PICTURE)
            save(tmp_path / pair[1] / f"{k}.png", np.full((3, 4), k, np.uint8))
    source = open_mask_folder(tmp_path)
    assert {split: part.tolist() for split, part in source.splits.items()} == {
        "train": [0, 1, 2], "val": [3, 4], "test": [5],
    }  # fmt: skip
    assert source.read_target(2)[0, 0] == 2
    assert source.read_target(4)[0, 0] == 1


@pytest.mark.parametrize("mode", [None, "P"])
def test_grey_values_and_palette_indices_are_class_numbers(tmp_path, mode):
    source = open_mask_folder(write_set(tmp_path, [VALUES], mode=mode))
    assert source.classes == ("0", "1", "2")
    assert np.array_equal(source.read_target(0), VALUES)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_is_not_scaled(tmp_path, bits):
    values = (np.arange(12).reshape(3, 4) % 2**bits).astype(np.uint8)
    write_set(tmp_path, [VALUES])
    (tmp_path / "masks/a.png").write_bytes(grey_png(values, bits))
    assert np.array_equal(open_mask_folder(tmp_path).read_target(0), values)


def test_sixteen_bit_masks_are_read_if_the_values_are_classes(tmp_path):
    source = open_mask_folder(write_set(tmp_path, [VALUES.astype(np.uint16)]))
    assert np.array_equal(source.read_target(0), VALUES)
    (tmp_path / "classes.txt").write_text("a\nb\nc")
    save(tmp_path / "masks/a.png", np.full((3, 4), 511, np.uint16))
    with pytest.raises(DataError, match=r"values are 0\.\.2.*a\.png: received 511, at 12 pixels"):
        open_mask_folder(tmp_path).read_target(0)


@pytest.mark.parametrize("ending", ["_mask", "_label", "_L"])
def test_masks_may_be_named_with_an_ending(tmp_path, ending):
    save(tmp_path / "images/a.png", PICTURE)
    save(tmp_path / f"masks/a{ending}.png", VALUES)
    assert np.array_equal(open_mask_folder(tmp_path).read_target(0), VALUES)


def test_names_come_from_a_file_and_absent_numbers_get_a_notice(tmp_path):
    source = open_mask_folder(write_set(tmp_path / "named", [VALUES], names=["sky", "road", "tree", "car"]))
    assert source.classes == ("sky", "road", "tree", "car")
    source = open_mask_folder(write_set(tmp_path / "bare", [VALUES * 0 + 3]))
    assert source.classes == ("0", "1", "2", "3")
    assert source.notices == (
        "no mask has class 0, 1, 2, of 4 that the highest value makes; classes.txt would name them",
    )


def test_value_without_a_class_is_refused(tmp_path):
    source = open_mask_folder(write_set(tmp_path, [VALUES], names=["sky", "road"]))
    with pytest.raises(DataError, match=r"are 0\.\.1.*or 255.*masks/a\.png: received 2, at 3 pixels.*classes\.txt"):
        source.read(0)
    assert [(key, kind) for key, _, kind in source.faults()] == [("images/a.png", "mask-value-without-class")]


TWO = np.array([[0, 255, 255, 0]] * 3, np.uint8)


@pytest.mark.parametrize("names", [None, ["back", "front"]])
def test_0_and_255_alone_are_two_classes(tmp_path, names):
    source = open_mask_folder(write_set(tmp_path, [TWO, TWO * 0], names=names))
    assert len(source.classes) == 2
    assert source.read_target(0).tolist() == (TWO // 255).tolist()
    assert source.notices == ("all masks hold 0 and 255 alone: 255 is read as class 1, not as unlabelled",)


@pytest.mark.parametrize(
    ("masks", "mode", "names"),
    [
        ([TWO, TWO // 255], None, None),
        ([TWO, TWO // 255], None, ["back", "front"]),
        ([TWO], "P", ["back", "front"]),
        ([TWO], "P", None),
        ([TWO], None, ["a", "b", "c"]),
        ([TWO], None, ["back", "void"]),
    ],
)
def test_255_stays_unlabelled_elsewhere(tmp_path, masks, mode, names):
    source = open_mask_folder(write_set(tmp_path, masks, names=names, mode=mode))
    assert np.array_equal(source.read_target(0), TWO)


def test_bits_among_0_and_255_mean_the_same(tmp_path):
    write_set(tmp_path, [TWO, TWO])
    (tmp_path / "masks/b.png").write_bytes(grey_png(TWO // 255, 1))
    source = open_mask_folder(tmp_path)
    assert source.classes == ("0", "1")
    assert source.read_target(0).tolist() == source.read_target(1).tolist() == (TWO // 255).tolist()


TABLES = {
    "label_colors.txt": "64 128 64\tAnimal\n192 0 128\t\tArchway\n0 0 0\t\tVoid\n0 128 192 Traffic Light\n",
    "classes.txt": "Animal 64 128 64\nArchway 192 0 128\nVoid 0 0 0\nTraffic Light 0 128 192\n",
    "classes.csv": "name,r,g,b\nAnimal,64,128,64\nArchway,192,0,128\nVoid,0,0,0\nTraffic Light, 0,128,192\n",
}
COLOURS = np.array([[[64, 128, 64], [0, 128, 192]], [[0, 0, 0], [192, 0, 128]]], np.uint8)


@pytest.mark.parametrize("table", TABLES)
def test_colours_are_read_by_their_table(tmp_path, table):
    save(tmp_path / "images/a.png", PICTURE[:2, :2])
    save(tmp_path / "masks/a.png", COLOURS)
    (tmp_path / table).write_text(TABLES[table])
    source = open_mask_folder(tmp_path)
    assert source.classes == ("Animal", "Archway", "Traffic Light")
    assert source.read_target(0).tolist() == [[0, 2], [255, 1]]
    assert source.notices == ("read as unlabelled, as its name says: Void",)


def test_colour_missing_from_the_table_is_refused(tmp_path):
    save(tmp_path / "images/a.png", PICTURE[:2, :2])
    save(tmp_path / "masks/a.png", np.where(COLOURS == 192, 191, COLOURS).astype(np.uint8))
    (tmp_path / "classes.txt").write_text(TABLES["classes.txt"])
    with pytest.raises(DataError, match=r"a\.png: received 2 pixels of others, first 0 128 191"):
        open_mask_folder(tmp_path).read(0)
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(DataError, match="Masks in colour need a table.*a.png is RGB, and there is none"):
        open_mask_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "1 to 255 lines.*received 0"),
        (b"a 0 0 0\nb\n", "received line 2 unlike the first"),
        (b"a 0 0 0\nb 0 0 0\n", r"colour of its own. .*received \(0, 0, 0\) twice"),
        (b"a\nb\na\n", "name of its own. .*received 'a' twice"),
        (b"\xff\xfe\xfa", "is not UTF-8"),
        (b"x" * 70_000, "may have at most 65,536 bytes"),
        (b"\n".join(b"%d" % k for k in range(256)), "received 256"),
    ],
)
def test_invalid_class_table_is_refused(tmp_path, text, message):
    (tmp_path / "classes.txt").write_bytes(text)
    with pytest.raises(DataError, match=message) as error:
        read_table(tmp_path / "classes.txt")
    assert "classes.txt" in str(error.value)


def test_mask_of_another_size_is_refused(tmp_path):
    write_set(tmp_path, [VALUES, VALUES.T])
    source = open_mask_folder(tmp_path)
    source.read(0)
    with pytest.raises(DataError, match="b.png is 4 wide and 3 high upright, and annotated as 3 wide and 4 high"):
        source.read(1)
    assert [(key, kind) for key, _, kind in source.faults()] == [("images/b.png", "annotation-of-another-size")]


def test_masks_are_those_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "images/a.jpg", PICTURE, exif=exif)
    save(tmp_path / "masks/a.png", np.ascontiguousarray(VALUES.T))
    assert open_mask_folder(tmp_path).read(0).target.shape == (4, 3)


def test_images_and_masks_without_partner_are_refused(tmp_path):
    write_set(tmp_path, [VALUES] * 4)
    (tmp_path / "masks/b.png").unlink()
    (tmp_path / "masks/d.png").unlink()
    (tmp_path / "images/a.png").unlink()
    with pytest.raises(DataError, match=r"2 images in .*images have none, 1 masks in .*; first .*images/b\.png"):
        open_mask_folder(tmp_path)
    (tmp_path / "images/b.png").unlink()
    (tmp_path / "images/d.png").unlink()
    with pytest.raises(DataError, match=r"0 images .* 1 masks .*; first .*masks/a\.png"):
        open_mask_folder(tmp_path)


def test_ambiguous_layout_is_refused(tmp_path):
    write_set(tmp_path, [VALUES])
    save(tmp_path / "labels/a.png", VALUES)
    with pytest.raises(DataError, match="two ways: .*both hold all"):
        open_mask_folder(tmp_path)
    write_set(tmp_path / "b", [VALUES])
    write_set(tmp_path / "b/train", [VALUES])
    with pytest.raises(DataError, match="two ways: with the splits train, or not"):
        open_mask_folder(tmp_path / "b")
    write_set(tmp_path / "c", [VALUES], names=["a", "b", "c"])
    (tmp_path / "c/classes.csv").write_text("a\nb")
    with pytest.raises(DataError, match=r"one table of classes. Received: classes\.txt, classes\.csv"):
        open_mask_folder(tmp_path / "c")
    write_set(tmp_path / "d", [VALUES])
    save(tmp_path / "d/images/a.jpg", PICTURE)
    with pytest.raises(DataError, match="share a name"):
        open_mask_folder(tmp_path / "d")
    for split in ("val", "valid"):
        save(tmp_path / f"e/images/{split}/a.jpg", PICTURE)
        save(tmp_path / f"e/masks/{split}/a.png", VALUES)
    with pytest.raises(DataError, match="val, valid mean one split twice"):
        open_mask_folder(tmp_path / "e")


def test_files_that_are_not_masks_are_refused(tmp_path):
    write_set(tmp_path, [VALUES], names=["a", "b", "c"])
    path = tmp_path / "masks/a.png"
    for content, message in (
        (b"", "must be a PNG file.*is not, or damaged"),
        (path.read_bytes()[:45], "truncated or damaged"),
        (Image.fromarray(np.zeros((3, 4, 4), np.uint8)), "no transparency. .*received RGBA"),
    ):
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content.save(path)
        with pytest.raises(DataError, match=message) as error:
            open_mask_folder(tmp_path).read_target(0)
        assert "a.png" in str(error.value)
    save(tmp_path / "masks/a.jpg", VALUES)
    path.unlink()
    save(tmp_path / "images/b.png", PICTURE)
    save(tmp_path / "masks/b.png", VALUES)
    with pytest.raises(DataError, match="must be a PNG file. Received: .*a.jpg"):
        open_mask_folder(tmp_path)
    with pytest.raises(DataError, match="no such pair with PNG masks"):
        open_mask_folder(tmp_path / "images")


def test_a_header_that_claims_a_huge_mask_is_refused(tmp_path):
    write_set(tmp_path, [VALUES], names=["a", "b", "c"])
    content = bytearray(grey_png(VALUES % 2, 1))
    content[16:24] = struct.pack(">II", 9000, 9000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "masks/a.png").write_bytes(content)
    with pytest.raises(DataError, match="80,000,000 pixels.*9000 x 9000"):
        open_mask_folder(tmp_path).read_target(0)


def test_masks_without_any_class_are_refused(tmp_path):
    with pytest.raises(DataError, match="numbers from 0 to 254. .*received unlabelled pixels alone"):
        open_mask_folder(write_set(tmp_path / "a", [VALUES * 0 + 255]))
    with pytest.raises(DataError, match="received the value 300"):
        open_mask_folder(write_set(tmp_path / "b", [np.full((3, 4), 300, np.uint16)]))


def test_the_fingerprint_knows_every_pixel_of_a_mask(tmp_path):
    before = fingerprint(open_mask_folder(write_set(tmp_path, [VALUES])))
    assert before == fingerprint(open_mask_folder(tmp_path))
    changed = VALUES.copy()
    changed[0, 0] = 1
    save(tmp_path / "masks/a.png", changed)
    assert before != fingerprint(open_mask_folder(tmp_path))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_mask_ends_in_an_error_or_a_read(tmp_path_factory, data):
    root = write_set(tmp_path_factory.mktemp("set"), [VALUES], mode=data.draw(st.sampled_from([None, "P"])))
    path = root / "masks/a.png"
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        target = open_mask_folder(root).read(0).target
    except DataError:
        return
    assert target.shape == (3, 4)


def write_voc(root):
    save(root / "JPEGImages/a.jpg", PICTURE)
    (root / "Annotations").mkdir()
    (root / "Annotations/a.xml").write_text("<annotation/>")


def write_yolo(root):
    save(root / "images/train/a.jpg", PICTURE)
    (root / "labels/train").mkdir(parents=True)
    (root / "labels/train/a.txt").write_text("0 0.5 0.5 1 1")
    (root / "data.yaml").write_text("train: images/train\nnames: [a, b]")


def write_coco(root):
    save(root / "images/a.jpg", PICTURE)
    save(root / "annotations/panoptic_train2017/a.png", PICTURE)
    (root / "annotations/instances_train2017.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}'
    )


def write_classes(root):
    for split in ("train", "test"):
        for name in ("images", "cats", "labels"):
            save(root / split / name / "a.jpg", PICTURE)
    (root / "metadata.json").write_text('{"labels": ["images", "cats"], "images": 4}')
    (root / "settings.yaml").write_text("train: x\nnames: y")


RECOGNISERS = [is_mask_folder, is_coco, is_voc, is_voc_masks, is_yolo]
WRITERS = {
    is_mask_folder: lambda root: write_set(root, [VALUES]),
    is_coco: write_coco,
    is_voc: write_voc,
    is_voc_masks: lambda root: (save(root / "JPEGImages/a.jpg", PICTURE), save(root / "SegmentationClass/a.png", TWO)),
    is_yolo: write_yolo,
    None: write_classes,
}


@pytest.mark.parametrize("owner", WRITERS)
def test_no_layout_claims_another(tmp_path, owner):
    WRITERS[owner](tmp_path)
    assert [recognises for recognises in RECOGNISERS if recognises(tmp_path)] == ([owner] if owner else [])
    assert not any(
        recognises(file) for recognises in RECOGNISERS[:-1] for file in tmp_path.rglob("*") if file.is_file()
    )


@given(st.binary(max_size=200))
def test_recognising_never_raises(tmp_path_factory, content):
    root = tmp_path_factory.mktemp("set")
    for name in ("data.yaml", "a.json", "instances_train.json", "Annotations", "images", "JPEGImages"):
        (root / name).write_bytes(content)
        for recognises in RECOGNISERS:
            recognises(root / name)
    assert not any(recognises(root / "nowhere") for recognises in RECOGNISERS)
    for recognises in RECOGNISERS:
        recognises(root)


def test_handwritten_png_has_few_bits():
    assert np.asarray(Image.open(io.BytesIO(grey_png(VALUES % 4, 2)))).max() == 255
