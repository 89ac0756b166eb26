import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.tasks.box_targets import counted
from neocog.tasks.centre_points import centre_losses, centre_maps, gaussian_radius


def draw_targets(generator, images=3, most=6, classes=3, size=(48, 64)):
    """Boxes within the image, some ignored, some rows empty."""
    targets = torch.zeros(images, most, 6)
    for n in range(images):
        for m in range(most):
            x, y = (float(torch.rand((), generator=generator)) * side * 0.8 for side in (size[1], size[0]))
            w, h = (1 + float(torch.rand((), generator=generator)) * side / 2 for side in (size[1], size[0]))
            label = int(torch.randint(-1, classes, (), generator=generator))
            ignored = int(torch.randint(0, 4, (), generator=generator)) % 3
            targets[n, m] = torch.tensor([x, y, min(x + w, size[1]), min(y + h, size[0]), label, ignored])
    return targets


def maps_by_hand(targets, classes, cells):
    """Cell by cell."""
    heat, masked = torch.zeros(len(targets), classes, *cells), torch.zeros(len(targets), classes, *cells, dtype=bool)
    for n, rows in enumerate(targets.tolist()):
        for x1, y1, x2, y2, label, ignored in rows:
            if label < 0:
                continue
            w, h = (x2 - x1) / 4, (y2 - y1) / 4
            b = 1.4 * (w + h)
            radius = int((math.sqrt(b * b + 4 * 2.8 * 0.3 * w * h) - b) / 2)
            i0, j0 = math.floor((y1 + y2) / 8), math.floor((x1 + x2) / 8)
            for i in range(cells[0]):
                for j in range(cells[1]):
                    if ignored:
                        inside = x1 <= 4 * j + 2 <= x2 and y1 <= 4 * i + 2 <= y2
                        masked[n, int(label), i, j] |= inside
                    elif abs(i - i0) <= radius and abs(j - j0) <= radius:
                        value = math.exp(-((i - i0) ** 2 + (j - j0) ** 2) / (2 * ((2 * radius + 1) / 6) ** 2))
                        heat[n, int(label), i, j] = max(heat[n, int(label), i, j], value)
    return heat, masked


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31), classes=st.sampled_from([1, 3]))
def test_maps_cell_by_cell(seed, classes):
    targets = draw_targets(torch.Generator().manual_seed(seed), classes=classes)
    heat, masked = centre_maps(targets, classes, (12, 16))
    expected_heat, expected_masked = maps_by_hand(targets, classes, (12, 16))
    torch.testing.assert_close(heat, expected_heat, rtol=1e-4, atol=1e-5)
    assert torch.equal(masked, expected_masked)


def loss_by_hand(heat, size, offset, targets):
    """The paper's equations, cell by cell and object by object, for one image."""
    classes, height, width = heat.shape
    centre_of, masked = maps_by_hand(targets[None], classes, (height, width))
    total = 0.0
    for k in range(classes):
        for i in range(height):
            for j in range(width):
                p, y = heat[k, i, j].sigmoid(), centre_of[0, k, i, j]
                if y == 1:
                    total -= (1 - p) ** 2 * F.logsigmoid(heat[k, i, j])
                elif not masked[0, k, i, j]:
                    total -= (1 - y) ** 4 * p**2 * F.logsigmoid(-heat[k, i, j])
    num = 0
    for x1, y1, x2, y2, label, ignored in targets.tolist():
        if label >= 0 and not ignored:
            num += 1
            x, y = (x1 + x2) / 8, (y1 + y2) / 8
            j, i = math.floor(x), math.floor(y)
            total += 0.1 * (abs(size[0, i, j] - (x2 - x1) / 4) + abs(size[1, i, j] - (y2 - y1) / 4))
            total += abs(offset[0, i, j] - (x - j)) + abs(offset[1, i, j] - (y - i))
    return total / max(1, num)


def test_loss_by_the_papers_equations():
    generator = torch.Generator().manual_seed(1)
    targets = draw_targets(generator, images=3, classes=2)
    logits = 2 * torch.randn(3, 6, 12, 16, generator=generator)
    found = centre_losses(logits, targets, 2)
    for n in range(3):
        heat, size, offset = logits[n].split([2, 2, 2])
        assert float(found[n]) == pytest.approx(float(loss_by_hand(heat, size, offset, targets[n])), rel=1e-5)


def test_loss_of_a_batch_is_the_mean_over_its_images_however_it_is_cut():
    generator = torch.Generator().manual_seed(2)
    targets, logits = draw_targets(generator, images=5), torch.randn(5, 7, 12, 16, generator=generator)
    whole = centre_losses(logits, targets, 3)
    parts = torch.cat([centre_losses(logits[i : i + 2], targets[i : i + 2], 3) for i in (0, 2, 4)])
    torch.testing.assert_close(parts, whole)
    wider = F.pad(targets, (0, 0, 0, 40))
    wider[:, 6:, 4] = -1
    torch.testing.assert_close(centre_losses(logits, wider, 3), whole)


def test_image_without_objects_has_the_loss_of_its_empty_places():
    targets = torch.tensor([[[0.0, 0, 0, 0, -1, 0]]])
    logits = torch.zeros(1, 5, 2, 2)
    assert float(centre_losses(logits, targets, 1)) == pytest.approx(4 * 0.25 * math.log(2))


def test_two_objects_with_centres_in_one_cell_are_one_peak():
    """The maximum of both bumps; size and offset of both count, so that their median is learned."""
    targets = torch.tensor([[[0.0, 0, 16, 16, 0, 0], [4.0, 4, 13, 13, 0, 0]]])
    heat, _ = centre_maps(targets, 1, (8, 8))
    assert int((heat == 1).sum()) == 1 and heat[0, 0, 2, 2] == 1
    wider = centre_maps(targets[:, :1], 1, (8, 8))[0]
    torch.testing.assert_close(heat, torch.maximum(wider, centre_maps(targets[:, 1:], 1, (8, 8))[0]))
    assert centre_losses(torch.zeros(1, 5, 8, 8), targets, 1).isfinite().all()


def test_ignored_objects_are_neither_positive_nor_negative():
    targets = torch.tensor([[[0.0, 0, 8, 8, 0, 0], [16.0, 0, 32, 16, 0, 2]]])
    logits = torch.zeros(1, 5, 4, 8)
    base = centre_losses(logits, targets, 1)
    raised = logits.clone()
    raised[0, 0, :4, 4:8] = 5.0  # sure of something within the crowd
    assert torch.equal(centre_losses(raised, targets, 1), base)
    raised[0, 0, 0, 3] = 5.0  # and beside it
    assert centre_losses(raised, targets, 1) > base
    assert counted(targets).tolist() == [[True, False]]


def test_many_small_objects():
    """300 objects of 5 pixels, each in a cell of its own."""
    places = torch.tensor([[8.0 * (i % 20), 8.0 * (i // 20)] for i in range(300)])
    targets = torch.cat([places, places + 5, torch.zeros(300, 2)], dim=1)[None]
    heat, _ = centre_maps(targets, 1, (32, 48))
    assert int((heat == 1).sum()) == 300
    logits = torch.zeros(1, 5, 32, 48, requires_grad=True)
    centre_losses(logits, targets, 1).sum().backward()
    assert logits.grad.isfinite().all()


def test_radius_grows_with_the_box_and_a_shift_within_it_still_overlaps():
    sides = torch.arange(1.0, 200)
    radius = gaussian_radius(sides, sides)
    assert (radius.diff() >= 0).all() and radius[0] == 0 and 0.26 * 199 < radius[-1] < 0.28 * 199
    # The derivation: a centre off by a 2.8th of it along both axes, at the worst, overlaps by 0.7.
    for side, found in zip(sides.tolist(), radius.tolist(), strict=True):
        shift = found / 2.8
        assert side**2 / (side + 2 * shift) ** 2 >= 0.69


def test_loss_reads_half_precision_as_float32():
    targets = draw_targets(torch.Generator().manual_seed(3))
    logits = torch.randn(3, 7, 12, 16).bfloat16()
    assert torch.equal(centre_losses(logits, targets, 3), centre_losses(logits.float(), targets, 3))
