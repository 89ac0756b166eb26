"""Objects planted at seams come out once, whatever the tiles."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.evaluation.box_matching import overlap
from neocog.modalities.views import View, tile_places, tile_starts
from neocog.tasks.detection import Detection
from neocog.tasks.seams import Gathered, gather_boxes, join_tiles, seams_of

TILE = (128, 160)


def maps_of(objects, origin, num_classes, rng=None, wobble=0.0, least=0.2, tile=TILE):
    """What a perfect network gives for one tile: a peak at the centre of each object's visible part.

    `objects` are (label, score, box) in the image; parts smaller than `least` of an object are not seen.
    """
    cells = (tile[0] // 4, tile[1] // 4)
    maps = torch.full((num_classes + 4, *cells), -20.0)
    maps[num_classes:] = 0
    for label, score, box in objects:
        box = np.array(box, float)
        moved = box - [origin[1], origin[0]] * 2
        seen = moved.clip(0, [tile[1], tile[0]] * 2)
        sides, whole = seen[2:] - seen[:2], box[2:] - box[:2]
        if min(sides) <= 0 or sides.prod() < least * whole.prod():
            continue
        if wobble and rng is not None:
            seen = seen + rng.uniform(-wobble, wobble, 4)
        centre, sides = (seen[:2] + seen[2:]) / 8, (seen[2:] - seen[:2]) / 4
        j, i = min(int(centre[0]), cells[1] - 1), min(int(centre[1]), cells[0] - 1)
        if maps[label, i, j] < np.log(score / (1 - score)):
            maps[label, i, j] = float(np.log(score / (1 - score)))
            maps[num_classes : num_classes + 2, i, j] = torch.tensor(sides)
            maps[num_classes + 2 :, i, j] = torch.tensor([centre[0] - j, centre[1] - i])
    return maps


def assembled(objects, size, num_classes=2, tile=TILE, **how):
    """The prediction for an image of this size, from the tiles that cover it."""
    task = Detection(tuple(f"c{k}" for k in range(num_classes)))
    assembler = task.assemble(size)
    for place in tile_places(size, tile):
        view = View(torch.zeros(3, *tile), tuple(map(float, place)), (1.0, 1.0))
        assembler.add(view, maps_of(objects, place, num_classes, tile=tile, **how))
    return assembler.finish("image")


def sure(prediction):
    """Its boxes with a score of 0.3 or more: (label, rounded box), sorted."""
    shown = prediction.scores >= 0.3
    boxes = prediction.boxes[shown].round(1).tolist()
    return sorted((label, *box) for label, box in zip(prediction.labels[shown].tolist(), boxes, strict=True))


def sure_objects(objects):
    return sorted((label, *map(float, box)) for label, _, box in objects)


def draw_objects(rng, size, count, largest):
    """Objects that don't cover each other, of different sizes, anywhere in the image."""
    objects = []
    for _ in range(20 * count):
        sides = rng.integers(6, largest, 2)
        start = rng.integers(0, np.maximum(1, np.array(size[::-1]) - sides))
        box = np.array([*start, *(start + sides)], float)
        others = np.array([box_of for _, _, box_of in objects], float).reshape(-1, 4)
        grown = others + np.array([-9, -9, 9, 9])  # so that no two centres share a cell, and no peak hides another
        if (
            not len(others)
            or not overlap(np.repeat(box[None], len(others), 0), grown, np.zeros(len(others), bool)).any()
        ):
            objects.append((int(rng.integers(2)), float(rng.uniform(0.4, 0.95)), box.tolist()))
        if len(objects) == count:
            break
    return objects


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**9), height=st.integers(60, 400), width=st.integers(60, 500))
def test_objects_no_larger_than_the_overlap_come_out_once_and_exactly(seed, height, width):
    rng = np.random.default_rng(seed)
    objects = draw_objects(rng, (height, width), count=25, largest=32)
    assert sure(assembled(objects, (height, width))) == sure_objects(objects)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_objects_on_a_seam_come_out_once_though_tiles_disagree(seed):
    """Each tile sees each box a few pixels off, so that a centre may lie on either side of the seam for each."""
    rng = np.random.default_rng(seed)
    size = (256, 400)
    seam = seams_of(tile_starts(400, 160)[1], 400, 160)[0]
    objects = []
    for k in range(8):
        centre, side = seam + rng.uniform(-4, 4), rng.integers(12, 26)
        objects.append((0, 0.9, [centre - side / 2, 30.0 * k + 2, centre + side / 2, 30.0 * k + 2 + side]))
    found = assembled(objects, size, rng=rng, wobble=1.5)
    boxes = found.boxes[found.scores >= 0.3]
    assert len(boxes) == 8
    for _, _, box in objects:
        values = overlap(boxes, np.repeat(np.array(box)[None], 8, 0), np.zeros(8, bool))
        assert (values > 0.5).sum() == 1


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**9), wobble=st.sampled_from([0.0, 1.5]),
    kind=st.sampled_from(["wide", "high", "both", "longer than a tile"]),
)  # fmt: skip
def test_pieces_of_an_object_larger_than_the_overlap_are_joined(seed, wobble, kind):
    """It spans the strip that tiles share, along one axis or both, and is whole in no tile."""
    rng = np.random.default_rng(seed)
    size = (256, 400)
    sides = {
        "wide": (rng.integers(100, 150), 30), "high": (30, rng.integers(60, 110)),
        "both": (rng.integers(100, 150), rng.integers(70, 110)), "longer than a tile": (300, 40),
    }[kind]  # fmt: skip
    start = [rng.integers(0, 400 - sides[0] + 1), rng.integers(0, 256 - sides[1] + 1)]
    box = [*map(float, start), float(start[0] + sides[0]), float(start[1] + sides[1])]
    found = assembled([(1, 0.8, box)], size, rng=rng, wobble=wobble, least=0.1)
    boxes = found.boxes[found.scores >= 0.3]
    assert len(boxes) == 1, (box, boxes.tolist())
    assert np.abs(boxes[0] - box).max() <= 2 * wobble + 1e-3


def test_neighbours_are_not_joined():
    """Two objects side by side at the seam, one in each core, and two that overlap by half within one tile."""
    near, far = seams_of(tile_starts(400, 160)[1], 400, 160)
    objects = [(0, 0.9, [near - 22, 40, near - 1, 60]), (0, 0.8, [near + 1, 40, near + 22, 60]),
               (0, 0.9, [far - 60, 80, far - 30, 100]), (0, 0.7, [far - 48, 80, far - 18, 100])]  # fmt: skip
    assert sure(assembled(objects, (256, 400))) == sure_objects(objects)


def test_classes_are_not_joined():
    seam = seams_of(tile_starts(400, 160)[1], 400, 160)[0]
    box = [seam - 10.0, 40.0, seam + 10.0, 60.0]
    assert len(sure(assembled([(0, 0.9, box), (1, 0.8, box)], (256, 400)))) == 2


def test_an_unsure_piece_does_not_enlarge_a_box():
    """A box of score 0.9 that ends at the edge of its tile, and one of 0.05 beyond it."""
    starts = tile_starts(400, 160)
    sure_box = np.array([[starts[0] + 60.0, 40, starts[0] + 160, 80]])
    unsure = np.array([[starts[1] + 0.0, 42, starts[1] + 140, 82]])
    found = [
        ((0.0, 0.0), Gathered(sure_box, np.array([0.9]), np.array([0]))),
        ((0.0, float(starts[1])), Gathered(unsure, np.array([0.05]), np.array([0]))),
    ]
    joined = join_tiles(found, (128, 400), TILE)
    assert joined.boxes.tolist() == sure_box.tolist() and joined.scores.tolist() == [0.9]
    found[1] = (found[1][0], Gathered(unsure, np.array([0.7]), np.array([0])))
    assert join_tiles(found, (128, 400), TILE).boxes.tolist() == [[60, 40, starts[1] + 140, 82]]


def test_boxes_beyond_the_image_are_cut_and_those_in_the_border_left_out():
    found = Gathered(
        np.array([[-5.0, -5, 10, 10], [95, 20, 130, 40], [101, 0, 110, 9]]), np.array([0.2, 0.6, 0.9]), np.zeros(3, int)
    )
    kept = gather_boxes(found, (50, 100))
    assert kept.boxes.tolist() == [[0, 0, 10, 10]] and kept.scores.tolist() == [0.2]


def test_only_view_of_a_scaled_image_gives_boxes_in_its_pixels():
    task = Detection(("a",))
    assembler = task.assemble((200, 300))
    maps = maps_of([(0, 0.9, [20, 10, 50, 30])], (0, 0), 1)
    assembler.add(View(torch.zeros(3, *TILE), (-10.0, -4.0), (0.5, 0.8)), maps)
    (found,) = (each for each in assembler.finish("x").objects if each.score > 0.5)
    assert found.box == pytest.approx((20 / 0.8 - 4, 10 / 0.5 - 10, 50 / 0.8 - 4, 30 / 0.5 - 10))
