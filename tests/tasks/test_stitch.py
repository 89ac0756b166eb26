"""Masks from overlapping views: constant logits, seams, memory; and the two ways of bringing outputs to a size."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.image.views import image_tiles
from neocog.modalities.views import View, tile_places, tile_starts
from neocog.tasks import stitch
from neocog.tasks.stitch import BinaryStitcher, Stitcher, edge_weights, linear_rows

TILE = (32, 48)
SIZES = [(32, 48), (33, 49), (100, 131), (20, 30), (20, 131), (1, 1), (257, 40)]


def tiled(field, size, tile=TILE):
    """A mask from tiles that are cut from a field of logits (K, H, W), zero where the image ends."""
    stitcher = Stitcher(size, len(field))
    pixels = np.zeros((*size, 1), np.uint8)
    for view in image_tiles(pixels, tile):
        top, left = (round(place) for place in view.origin)
        part = field[:, top : top + tile[0], left : left + tile[1]]
        padded = F.pad(part, (0, tile[1] - part.shape[2], 0, tile[0] - part.shape[1]), value=50.0)
        stitcher.add(view, padded)
    return stitcher.finish()


@pytest.mark.parametrize("size", SIZES)
def test_tiles_of_one_field_give_its_mask_without_seams(size):
    field = torch.randn(5, *size, generator=torch.Generator().manual_seed(0)) * 3
    mask, confidence = tiled(field, size)
    np.testing.assert_array_equal(mask, field.argmax(dim=0))
    assert confidence == pytest.approx(field.softmax(dim=0).amax(dim=0).double().mean().item(), rel=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_constant_logits_give_one_class_and_its_probability_everywhere(size):
    logits = torch.tensor([0.3, 1.2, -1.0])
    mask, confidence = tiled(logits[:, None, None].expand(3, *size), size)
    assert mask.shape == size and (mask == 1).all()
    assert confidence == pytest.approx(logits.softmax(dim=0)[1].item(), rel=1e-5)


def test_where_tiles_disagree_the_one_whose_centre_is_nearer_wins():
    """Two tiles that each are sure of another class: the border lies in the middle of their overlap."""
    stitcher = Stitcher((8, 28), 2)
    for left, label in ((0, 0), (12, 1)):
        logits = torch.zeros(2, 8, 16)
        logits[label] = 9.0
        stitcher.add(View(torch.zeros(1, 8, 16), (0.0, float(left)), (1.0, 1.0)), logits)
    mask, _ = stitcher.finish()
    assert (mask[:, :14] == 0).all() and (mask[:, 14:] == 1).all()


def test_blending_is_the_weighted_mean_of_probabilities():
    """Against sums over the whole image, tile by tile in float64."""
    size, tile = (90, 70), (32, 32)
    generator = torch.Generator().manual_seed(1)
    stitcher, sums, weights = Stitcher(size, 4), np.zeros((4, *size)), np.zeros(size)
    ramp = np.minimum(np.arange(1, 33), np.arange(32, 0, -1)) / 16.5
    for top, left in tile_places(size, tile):
        logits = torch.randn(4, *tile, generator=generator)
        stitcher.add(View(torch.zeros(1, *tile), (float(top), float(left)), (1.0, 1.0)), logits)
        place = np.s_[top : top + 32, left : left + 32]
        sums[:, *place] += logits.double().softmax(dim=0).numpy() * np.outer(ramp, ramp)
        weights[place] += np.outer(ramp, ramp)
    mask, confidence = stitcher.finish()
    np.testing.assert_array_equal(mask, sums.argmax(axis=0))
    assert confidence == pytest.approx((sums.max(axis=0) / weights).mean(), rel=1e-5)


def test_only_one_row_of_tiles_is_held():
    size = (4096, 64)
    stitcher, most = Stitcher(size, 3), 0
    for top, left in tile_places(size, (64, 64)):
        stitcher.add(View(torch.zeros(1, 64, 64), (float(top), float(left)), (1.0, 1.0)), torch.zeros(3, 64, 64))
        most = max(most, stitcher.held.shape[1])
    assert most <= 64 + 16


@pytest.mark.parametrize(("full", "size"), [((50, 100), (64, 64)), ((300, 200), (32, 64)), ((7, 9), (64, 32))])
@pytest.mark.parametrize("rule", ["squash", "letterbox"])
@pytest.mark.parametrize("at_once", [200, 2**22])
def test_whole_images_get_back_to_their_size(full, size, rule, at_once, monkeypatch):
    """As torch interpolates the part of the output that the image fills, and a few rows at a time."""
    monkeypatch.setattr(stitch, "AT_ONCE", at_once)
    spec = ImagePreprocess(size=size, channels=1, resize=rule)
    (view,) = spec.views(np.full(full, 255, np.uint8))
    logits = torch.randn(3, *size, generator=torch.Generator().manual_seed(0))
    filled = view.inputs[0] > 0
    rows, columns = filled.any(dim=1).sum(), filled.any(dim=0).sum()
    inside = logits.softmax(dim=0)[:, filled].reshape(3, rows, columns)
    expected = F.interpolate(inside[None].double(), full, mode="bilinear")[0]
    stitcher = Stitcher(full, 3)
    stitcher.add(view, logits)
    mask, confidence = stitcher.finish()
    sure = expected.sort(dim=0).values
    clear = (sure[-1] - sure[-2] > 1e-5).numpy()
    np.testing.assert_array_equal(mask[clear], expected.argmax(dim=0).numpy()[clear])
    assert clear.mean() > 0.99 and confidence == pytest.approx(expected.amax(dim=0).mean().item(), rel=1e-5)


def test_a_border_at_the_images_own_scale_is_left_out():
    """Letterboxed without scaling: the view begins above the image."""
    spec = ImagePreprocess(size=(16, 16), channels=1, resize="letterbox")
    (view,) = spec.views(np.zeros((10, 16), np.uint8))
    assert view.origin == (-3.0, 0.0) and view.scale == (1.0, 1.0)
    logits = torch.zeros(2, 16, 16)
    logits[1, 3:13] = torch.linspace(-4, 5, 10)[:, None]
    stitcher = Stitcher((10, 16), 2)
    stitcher.add(view, logits)
    mask, _ = stitcher.finish()
    assert mask[:, 0].tolist() == [0] * 5 + [1] * 5


def test_samples_of_a_signal_are_put_together_too():
    field = torch.randn(3, 100, generator=torch.Generator().manual_seed(0))
    stitcher = Stitcher((100,), 3)
    for (start,) in tile_places((100,), (32,)):
        stitcher.add(View(torch.zeros(1, 32), (float(start),), (1.0,)), field[:, start : start + 32])
    mask, _ = stitcher.finish()
    np.testing.assert_array_equal(mask, field.argmax(dim=0))


def test_rows_are_stretched_as_torch_does():
    maps = torch.randn(2, 5, 3, dtype=torch.float64)
    expected = F.interpolate(maps[None], (13, 3), mode="bilinear")[0]
    torch.testing.assert_close(torch.cat([linear_rows(maps, 13, 0, 6), linear_rows(maps, 13, 6, 13)], 1), expected)


def test_weights_fall_towards_the_edges_and_are_never_zero():
    weights = edge_weights((5, 4))
    assert weights.min() > 0 and weights.argmax() == 2 * 4 + 1
    assert torch.equal(weights, weights.flip(0)) and torch.equal(weights, weights.flip(1))


@pytest.mark.parametrize("length", [1, 31, 32, 33, 100, 4096])
def test_tiles_cover_an_axis_with_enough_overlap(length):
    starts = tile_starts(length, 32)
    assert starts[0] == 0 and starts == sorted(set(starts))
    covered = np.zeros(length, bool)
    for start in starts:
        covered[start : start + 32] = True
    assert covered.all() and all(b - a <= 24 for a, b in itertools.pairwise(starts))
    assert length <= 32 or starts[-1] + 32 == length


@pytest.mark.parametrize("size", SIZES)
def test_binary_masks_of_one_field_are_where_its_probabilities_are_above_a_half(size):
    field = torch.randn(3, *size, generator=torch.Generator().manual_seed(0)) * 3
    stitcher = BinaryStitcher(size, 3)
    for view in image_tiles(np.zeros((*size, 1), np.uint8), TILE):
        top, left = (round(place) for place in view.origin)
        part = field[:, top : top + TILE[0], left : left + TILE[1]]
        stitcher.add(view, F.pad(part, (0, TILE[1] - part.shape[2], 0, TILE[0] - part.shape[1]), value=50.0))
    masks, confidence = stitcher.finish()
    np.testing.assert_array_equal(masks, field > 0)
    probs = field.double().sigmoid()
    assert confidence == pytest.approx(torch.maximum(probs, 1 - probs).mean().item(), rel=1e-5)


def test_binary_masks_of_a_view_are_enlarged_linearly():
    logits = torch.tensor([[[4.0, -4.0]], [[4.0, 4.0]]]).expand(2, 2, 2)
    stitcher = BinaryStitcher((4, 8), 2)
    stitcher.add(View(torch.zeros(1, 2, 2), (0.0, 0.0), (0.5, 0.25)), logits)
    masks, _ = stitcher.finish()
    assert masks[0].all(axis=0).tolist() == [True] * 4 + [False] * 4 and masks[1].all()
