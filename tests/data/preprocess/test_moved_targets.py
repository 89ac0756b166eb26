import io

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from neocog.annotations.moved_targets import move_mask, move_objects, move_points, placement
from neocog.dataset.record import UNLABELLED, Objects
from neocog.errors import ConfigError, DataError
from neocog.modalities.image.preprocess import ImagePreprocess

side = st.integers(8, 90)
specs = st.builds(
    ImagePreprocess,
    size=st.tuples(side, side),
    channels=st.just(1),
    resize=st.sampled_from(["squash", "crop", "letterbox"]),
    pad=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def extent(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def drawn(height, width, box):
    left, top, right, bottom = box
    pixels = np.zeros((height, width), np.uint8)
    pixels[top:bottom, left:right] = 255
    return pixels


@st.composite
def pictures_with_box(draw):
    height, width = draw(side), draw(side)
    left, top = draw(st.integers(0, width - 2)), draw(st.integers(0, height - 2))
    right, bottom = draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))
    return height, width, (left, top, right, bottom)


def objects_of(box, masks=None):
    return Objects(np.array([box], np.float32), np.array([3]), masks)


@given(pictures_with_box(), specs)
def test_a_box_is_where_its_rectangle_is_seen(picture, spec):
    height, width, box = picture
    moved = move_objects(objects_of(box), height, width, spec, min_visible=0)
    seen = spec.decode(png(drawn(height, width, box)))[0].numpy() >= 128
    assert seen.shape == spec.shape[1:]
    if len(moved):
        left, top, right, bottom = moved.boxes[0]
        assume(right - left >= 3 and bottom - top >= 3)  # what is thinner is lost in the antialiasing
        assert np.abs(np.array(extent(seen)) - moved.boxes[0]).max() <= 1
    else:
        assert not seen.any()


@given(pictures_with_box(), specs)
def test_a_mask_is_where_its_rectangle_is_seen(picture, spec):
    height, width, box = picture
    pixels = drawn(height, width, box)
    moved = move_mask(pixels // 255, spec)
    seen = spec.decode(png(pixels))[0].numpy()
    assert moved.shape == seen.shape and moved.dtype == np.uint8
    sides = move_objects(objects_of(box), height, width, spec, min_visible=0).boxes
    assume(len(sides) and min(sides[0, 2:] - sides[0, :2]) >= 3)
    assert np.abs(np.array(extent(seen >= 128)) - extent(moved == 1)).max() <= 1


@given(pictures_with_box(), specs)
def test_what_shows_no_picture_is_unlabelled(picture, spec):
    height, width, _ = picture
    moved = move_mask(np.zeros((height, width), np.uint8), spec)
    white = spec.decode(png(np.full((height, width), 255, np.uint8)))[0].numpy()
    assert np.array_equal(moved == UNLABELLED, white == 0)
    assert set(np.unique(moved)) <= {0, UNLABELLED}


@given(st.integers(0, 2**32 - 1), side, side, specs)
def test_nearest_is_pillows(seed, height, width, spec):
    mask = np.random.default_rng(seed).integers(0, 5, (height, width), dtype=np.uint8)
    rows, columns = placement(height, width, spec)
    size = columns.stop - columns.start, rows.stop - rows.start
    box = [(edge - axis.shift) / axis.scale for axis in (columns, rows) for edge in (axis.start, axis.stop)]
    box = np.clip([box[0], box[2], box[1], box[3]], 0, [width, height, width, height]).tolist()
    wanted = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST, box))
    moved = move_mask(mask, spec)[rows.start : rows.stop, columns.start : columns.stop]
    # Pillow adds up its steps, so a centre on an edge between two pixels may fall to the other one.
    on_edge = [
        np.abs(centres - np.round(centres)) < 1e-6
        for axis in (rows, columns)
        for centres in [(np.arange(axis.start, axis.stop) + 0.5 - axis.shift) / axis.scale]
    ]
    off = ~(on_edge[0][:, None] | on_edge[1][None, :])
    assert np.array_equal(moved[off], wanted[off])


@pytest.mark.parametrize(
    ("resize", "wanted"),
    [
        # A picture 20 high and 40 wide to 10 x 10, with 1 row and 2 columns around.
        ("squash", [[2 + 10 / 4, 1 + 4 / 2], [2 + 30 / 4, 1 + 20 / 2]]),
        ("crop", [[2 + (10 - 10) / 2, 1 + 4 / 2], [2 + (30 - 10) / 2, 1 + 20 / 2]]),
        ("letterbox", [[2 + 10 / 4, 1 + 2 + 4 / 4], [2 + 30 / 4, 1 + 2 + 20 / 4]]),
    ],
)
def test_points_by_hand(resize, wanted):
    spec = ImagePreprocess(size=(10, 10), channels=1, resize=resize, pad=(1, 2))
    moved = move_points(np.array([[10, 4], [30, 20]], np.float32), 20, 40, spec)
    assert moved.dtype == np.float32
    assert moved.tolist() == wanted


def test_corners_go_to_corners():
    spec = ImagePreprocess(size=(7, 9), channels=1)
    moved = move_points(np.array([[0.0, 0.0], [123.0, 45.0]]), 45, 123, spec)
    np.testing.assert_allclose(moved, [[0, 0], [9, 7]], rtol=1e-6)


@pytest.mark.parametrize(("min_visible", "kept"), [(0, 2), (0.1, 2), (0.25, 2), (0.3, 1), (1, 0)])
def test_what_is_hardly_visible_is_left_out(min_visible, kept):
    # The crop keeps columns 10 to 30: of the boxes a quarter, a half and nothing.
    boxes = np.array([[4, 0, 12, 20], [26, 0, 34, 20], [0, 0, 10, 20]], np.float32)
    spec = ImagePreprocess(size=(10, 10), channels=1, resize="crop")
    moved = move_objects(Objects(boxes, np.array([5, 6, 7])), 20, 40, spec, min_visible)
    assert moved.labels.tolist() == [5, 6][2 - kept :]
    assert moved.boxes.tolist() == [[0, 0, 1, 10], [8, 0, 10, 10]][2 - kept :]


def test_boxes_are_clipped_to_what_shows_the_picture():
    spec = ImagePreprocess(size=(10, 10), channels=1, resize="letterbox", pad=(1, 1))
    moved = move_objects(objects_of((-20, -10, 60, 30)), 20, 40, spec)
    assert moved.boxes.tolist() == [[1, 3.5 - 0.5, 11, 8]]
    assert moved.boxes.dtype == np.float32


@given(pictures_with_box(), specs)
def test_masks_of_objects_move_as_masks_do(picture, spec):
    height, width, box = picture
    mask = drawn(height, width, box) > 0
    moved = move_objects(objects_of(box, mask[None]), height, width, spec, min_visible=0)
    assert moved.masks.dtype == bool and moved.masks.shape == (len(moved), *spec.shape[1:])
    if len(moved):
        assert np.array_equal(moved.masks[0], move_mask(mask.astype(np.uint8), spec) == 1)


def test_no_objects_stay_no_objects():
    none = Objects(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty((0, 20, 40), bool))
    moved = move_objects(none, 20, 40, ImagePreprocess(size=(5, 6), channels=3))
    assert (moved.boxes.shape, moved.masks.shape) == ((0, 4), (0, 5, 6))


def test_a_turned_picture_has_its_targets_upright():
    pixels = drawn(30, 40, (5, 10, 25, 28))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(np.rot90(pixels)).save(buffer, "png", exif=exif)
    spec = ImagePreprocess(size=(60, 80), channels=1)
    seen = spec.decode(buffer.getvalue())[0].numpy() >= 128
    assert extent(seen) == move_objects(objects_of((5, 10, 25, 28)), 30, 40, spec).boxes[0].tolist()


def test_what_is_no_target_is_named():
    spec = ImagePreprocess(size=(5, 5), channels=1)
    with pytest.raises(DataError, match=r"A mask is \(H, W\) of uint8. Received: int64 \(4, 4\)"):
        move_mask(np.zeros((4, 4), np.int64), spec)
    with pytest.raises(DataError, match=r"Received: uint8 \(0, 4\)"):
        move_mask(np.zeros((0, 4), np.uint8), spec)
    with pytest.raises(DataError, match=r"Received: \(1, 4, 4\) for 1 objects on 5 x 4 pixels"):
        move_objects(objects_of((0, 0, 1, 1), np.zeros((1, 4, 4), bool)), 4, 5, spec)
    with pytest.raises(ConfigError, match="share of a box's area, 0 to 1. Received: 10"):
        move_objects(objects_of((0, 0, 1, 1)), 4, 4, spec, min_visible=10)
