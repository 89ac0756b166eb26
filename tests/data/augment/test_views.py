import pytest
import torch
import torch.nn.functional as F

from neocog.errors import ConfigError, GeometryError
from neocog.modalities.image.augment import num_views, view_weights, views

IMAGES = torch.randn(4, 3, 9, 11)


@pytest.mark.parametrize(("kind", "num"), [("none", 1), ("flip", 2), ("shift", 3), ("flip+shift", 6), ("ten-crop", 10)])
def test_there_are_as_many_views_as_promised(kind, num):
    assert num_views(kind) == len(views(IMAGES, kind)) == len(view_weights(kind)) == num
    assert view_weights(kind).sum() == pytest.approx(1)


def test_the_first_view_is_the_picture_itself():
    for kind in ("none", "flip", "shift", "flip+shift"):
        assert torch.equal(views(IMAGES, kind)[0], IMAGES)


def test_mirrored_views_follow_in_the_same_order():
    for kind, each in (("flip", "none"), ("flip+shift", "shift")):
        straight = views(IMAGES, each)
        assert torch.equal(views(IMAGES, kind), torch.cat([straight, straight.flip(4)]))


def test_shifts_are_by_one_pixel_each_way():
    _, lower_right, upper_left = views(IMAGES, "shift")
    assert torch.equal(lower_right[:, :, 1:, 1:], IMAGES[:, :, :-1, :-1])
    assert torch.equal(upper_left[:, :, :-1, :-1], IMAGES[:, :, 1:, 1:])
    assert torch.equal(lower_right[:, :, 0, 1:], IMAGES[:, :, 1, :-1])  # the border is mirrored


def test_averaging_with_the_weights_is_that_of_airbench():
    """Half for the picture and its mirror image, half for the same of the two shifts."""

    def net(images):
        return images.flatten(1).cumsum(1)[:, ::17]

    def mirrored(images):
        return 0.5 * net(images) + 0.5 * net(images.flip(3))

    padded = F.pad(IMAGES, (1, 1, 1, 1), mode="reflect")
    shifted = [mirrored(padded[:, :, :9, :11]), mirrored(padded[:, :, 2:, 2:])]
    expected = 0.5 * mirrored(IMAGES) + 0.5 * torch.stack(shifted).mean(0)

    logits = torch.stack([net(view) for view in views(IMAGES, "flip+shift")])
    average = (view_weights("flip+shift")[:, None, None] * logits).sum(0)
    torch.testing.assert_close(average, expected)


def test_the_picture_in_place_counts_as_much_as_its_shifts():
    assert view_weights("shift").tolist() == [0.5, 0.25, 0.25]
    assert view_weights("ten-crop").unique().tolist() == pytest.approx([0.1])


def test_ten_crops_are_four_corners_and_the_centre_then_mirrored():
    seen = views(IMAGES, "ten-crop", crop=(5, 7))
    windows = [IMAGES[:, :, top : top + 5, left : left + 7] for top, left in ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))]
    assert torch.equal(seen[:5], torch.stack(windows))
    assert torch.equal(seen[5:], torch.stack(windows).flip(4))


@pytest.mark.parametrize("crop", [(10, 5), (5, 12), (0, 5)])
def test_a_crop_must_fit(crop):
    with pytest.raises(GeometryError, match=r"A crop must fit into the picture. Received: \d+x\d+ of 9x11. Make"):
        views(IMAGES, "ten-crop", crop=crop)


def test_a_picture_of_one_row_cannot_be_shifted():
    with pytest.raises(GeometryError, match="at least 2x2 pixels. Received: 1x9"):
        views(torch.zeros(1, 1, 1, 9), "shift")


def test_an_unknown_kind_is_named():
    with pytest.raises(ConfigError, match=r"Views are one of none, flip, .* Received: 'twice'"):
        views(IMAGES, "twice")
    with pytest.raises(ConfigError, match="Received: 'twice'"):
        num_views("twice")
