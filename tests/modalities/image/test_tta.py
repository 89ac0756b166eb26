import pytest
import torch
import torch.nn.functional as F

from neocog.errors import ConfigError, GeometryError
from neocog.modalities.image.tta import tta_views, tta_weights

IMAGES = torch.randn(4, 3, 9, 11)


@pytest.mark.parametrize(("kind", "num"), [("none", 1), ("flip", 2), ("shift", 3), ("flip+shift", 6), ("ten-crop", 10)])
def test_every_kind_has_its_number_of_views(kind, num):
    assert len(tta_views(IMAGES, kind)) == len(tta_weights(kind)) == num
    assert tta_weights(kind).sum() == pytest.approx(1)


def test_first_view_is_the_image_itself():
    for kind in ("none", "flip", "shift", "flip+shift"):
        assert torch.equal(tta_views(IMAGES, kind)[0], IMAGES)


def test_mirrored_views_follow_in_the_same_order():
    for kind, each in (("flip", "none"), ("flip+shift", "shift")):
        straight = tta_views(IMAGES, each)
        assert torch.equal(tta_views(IMAGES, kind), torch.cat([straight, straight.flip(4)]))


def test_shifts_are_by_one_pixel_each_way():
    _, lower_right, upper_left = tta_views(IMAGES, "shift")
    assert torch.equal(lower_right[:, :, 1:, 1:], IMAGES[:, :, :-1, :-1])
    assert torch.equal(upper_left[:, :, :-1, :-1], IMAGES[:, :, 1:, 1:])
    assert torch.equal(lower_right[:, :, 0, 1:], IMAGES[:, :, 1, :-1])  # the border is mirrored


def test_weighted_average_equals_that_of_airbench():
    """Half for the image and its mirror image, half for the same of the two shifts."""

    def net(images):
        return images.flatten(1).cumsum(1)[:, ::17]

    def mirrored(images):
        return 0.5 * net(images) + 0.5 * net(images.flip(3))

    padded = F.pad(IMAGES, (1, 1, 1, 1), mode="reflect")
    shifted = [mirrored(padded[:, :, :9, :11]), mirrored(padded[:, :, 2:, 2:])]
    expected = 0.5 * mirrored(IMAGES) + 0.5 * torch.stack(shifted).mean(0)

    logits = torch.stack([net(view) for view in tta_views(IMAGES, "flip+shift")])
    average = (tta_weights("flip+shift")[:, None, None] * logits).sum(0)
    torch.testing.assert_close(average, expected)


def test_unshifted_image_counts_as_much_as_its_shifts():
    assert tta_weights("shift").tolist() == [0.5, 0.25, 0.25]
    assert tta_weights("ten-crop").unique().tolist() == pytest.approx([0.1])


def test_ten_crop_is_four_corners_and_the_centre_then_mirrored():
    seen = tta_views(IMAGES, "ten-crop", crop=(5, 7))
    windows = [IMAGES[:, :, top : top + 5, left : left + 7] for top, left in ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))]
    assert torch.equal(seen[:5], torch.stack(windows))
    assert torch.equal(seen[5:], torch.stack(windows).flip(4))


@pytest.mark.parametrize("crop", [(10, 5), (5, 12), (0, 5)])
def test_crop_must_fit(crop):
    with pytest.raises(GeometryError, match=r"A crop must fit into the image. Received: \d+x\d+ of 9x11. Make"):
        tta_views(IMAGES, "ten-crop", crop=crop)


def test_image_of_one_row_cannot_be_shifted():
    with pytest.raises(GeometryError, match="at least 2x2 pixels. Received: 1x9"):
        tta_views(torch.zeros(1, 1, 1, 9), "shift")


def test_unknown_kind_is_named():
    with pytest.raises(ConfigError, match=r"Test-time augmentation is one of none, flip, .* Received: 'twice'"):
        tta_views(IMAGES, "twice")
    with pytest.raises(ConfigError, match="Received: 'twice'"):
        tta_weights("twice")
