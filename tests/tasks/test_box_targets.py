import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.data import AugmentConfig, ImagePreprocess
from neocog.dataset.record import CROWD, DIFFICULT, Objects
from neocog.loading.tiles import cut_target
from neocog.modalities.image.augment import draw_spatial
from neocog.tasks.box_targets import counted, move_rows, pad_rows, place_objects, valid


def paint(size, box):
    """An image that is bright within a box of whole pixels."""
    pixels = np.zeros(size, np.uint8)
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = 255
    return pixels


@pytest.mark.parametrize(
    ("resize", "size", "pad"),
    [("squash", (64, 96), (0, 0)), ("letterbox", (64, 64), (0, 0)), ("tile", (128, 160), (0, 0)),
     ("letterbox", (64, 96), (4, 8))],
)  # fmt: skip
def test_boxes_lie_where_their_pixels_come_to_lie(resize, size, pad):
    """Of a bright rectangle in the decoded image."""
    box = (40, 20, 80, 60)
    spec = ImagePreprocess(size=size, channels=1, resize=resize, pad=pad)
    objects = Objects(np.array([box], np.float32), np.array([3]))
    (row,) = place_objects(objects, (100, 150), spec)
    bright = spec.decode(paint((100, 150), box))[0].numpy() > 127
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    expected = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert np.abs(row[:4] - expected).max() <= 1
    assert row[4:].tolist() == [3, 0]


def test_parts_beyond_the_input_are_cut_off_and_slivers_ignored():
    spec = ImagePreprocess(size=(64, 64), channels=1, resize="tile")
    boxes = np.array([[50, 0, 70, 10], [60, 20, 90, 30], [70, 0, 80, 9], [0, 50, 10, 60]], np.float32)
    objects = Objects(boxes, np.array([0, 1, 2, 3]), ignored=np.array([0, 0, 0, CROWD], np.uint8))
    rows = place_objects(objects, (80, 100), spec)
    assert rows.tolist() == [[50, 0, 64, 10, 0, 0], [60, 20, 64, 30, 1, DIFFICULT], [0, 50, 10, 60, 3, CROWD]]


def test_padding_is_told_from_objects():
    rows = [np.zeros((0, 6), np.float32), np.array([[0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 2]], np.float32)]
    targets = pad_rows(rows)
    assert targets.shape == (2, 2, 6)
    assert valid(targets).tolist() == [[False, False], [True, True]]
    assert counted(targets).tolist() == [[False, False], [True, False]]
    assert pad_rows([np.zeros((0, 6), np.float32)]).shape == (1, 1, 6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), epoch=st.integers(0, 50))
def test_moved_rows_are_moved_objects(seed, epoch):
    """As `SpatialTransform.boxes` moves them, but that slivers are ignored and not dropped."""
    rng = np.random.default_rng(seed)
    config = AugmentConfig(flip=0.5, vertical_flip=0.5, scale=0.4, translate=0.3, rotate=90)
    starts, sides = rng.uniform(0, 50, (4, 3, 2)), rng.uniform(1, 30, (4, 3, 2))
    boxes = np.concatenate([starts, starts + sides], axis=2).clip(0, 64)
    labels = rng.integers(0, 5, (4, 3))
    targets = pad_rows(
        [
            np.concatenate([b, k[:, None], np.zeros((3, 1))], axis=1).astype(np.float32)
            for b, k in zip(boxes, labels, strict=True)
        ]
    )
    transform = draw_spatial(np.arange(4, dtype=np.uint64), (64, 64), config, seed=seed, epoch=epoch)
    moved = move_rows(targets, transform)
    expected = transform.boxes(
        [Objects(b.astype(np.float32), k) for b, k in zip(targets[..., :4].numpy(), labels, strict=True)]
    )
    for rows, objects in zip(moved, expected, strict=True):
        kept = rows[rows[:, 4] >= 0].numpy()
        found = {tuple(np.round(row[:5], 3)) for row in kept}
        wanted = {(*np.round(b, 3), float(k)) for b, k in zip(objects.boxes, objects.labels, strict=True)}
        assert wanted <= found
        assert all(row[5] == DIFFICULT for row in kept if tuple(np.round(row[:5], 3)) not in wanted)
        assert (kept[:, :4] >= 0).all() and (kept[:, :4] <= 64).all()
        assert (kept[:, 2] > kept[:, 0]).all() and (kept[:, 3] > kept[:, 1]).all()


def test_boxes_move_with_their_pixels():
    config = AugmentConfig(flip=0.5, vertical_flip=0.5, scale=0.2, translate=0.1)
    images = torch.from_numpy(np.stack([paint((64, 96), (30, 20, 62, 40))] * 8))[:, None]
    targets = torch.tensor([[[30.0, 20, 62, 40, 0, 0]]]).repeat(8, 1, 1)
    transform = draw_spatial(np.arange(8, dtype=np.uint64), (64, 96), config, seed=1, epoch=2)
    moved, boxes = transform.images(images)[:, 0].numpy() > 127, move_rows(targets, transform)[:, 0]
    for plane, box in zip(moved, boxes, strict=True):
        rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
        expected = torch.tensor([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()
        assert (box[:4] - expected).abs().max() <= 1.5
    assert len({tuple(box.tolist()) for box in boxes}) == 8


def test_tiles_keep_flags_and_ignore_slivers():
    objects = Objects(
        np.array([[0, 0, 20, 20], [90, 0, 130, 10], [95, 40, 125, 60], [0, 90, 10, 140]], np.float32),
        np.arange(4), ignored=np.array([0, 0, 0, CROWD], np.uint8),
    )  # fmt: skip
    part = cut_target(objects, (0, 0), (100, 100))
    assert part.labels.tolist() == [0, 1, 2, 3]
    assert part.boxes.tolist() == [[0, 0, 20, 20], [90, 0, 100, 10], [95, 40, 100, 60], [0, 90, 10, 100]]
    assert part.ignored.tolist() == [0, DIFFICULT, DIFFICULT, CROWD]
    other = cut_target(objects, (0, 100), (100, 100))
    assert other.labels.tolist() == [1, 2] and other.ignored is None
