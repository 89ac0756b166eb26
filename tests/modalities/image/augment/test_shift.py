"""Shifts of bytes, which are masked, are those of padded images and of a loop over pixels."""

import numpy as np
import pytest
import torch

from neocog.modalities.image.augment.affine import crop_padded, identity, sample_whole_pixels, shift_bytes


def shifted_by_hand(images, moves):
    shifted = torch.zeros_like(images)
    _, _, height, width = images.shape
    for i, (x, y) in enumerate(moves.tolist()):
        for row in range(height):
            for column in range(width):
                if 0 <= row + y < height and 0 <= column + x < width:
                    shifted[i, :, row, column] = images[i, :, row + y, column + x]
    return shifted


@pytest.mark.parametrize("shape", [(1, 1, 5, 7), (9, 3, 6, 4), (20, 1, 8, 8)])
@pytest.mark.parametrize("margin", [1, 2, 3])
def test_bytes_are_shifted_as_padded_images_are(shape, margin):
    draw = np.random.default_rng(margin)
    images = torch.from_numpy(draw.integers(1, 256, shape).astype(np.uint8))
    for _ in range(4):
        moves = draw.integers(-margin, margin + 1, (shape[0], 2))
        moves[[0, -1]] *= draw.choice([-1, 1])
        found = shift_bytes(images, moves, margin)
        assert torch.equal(found, crop_padded(images, moves, margin, "black"))
        assert torch.equal(found, shifted_by_hand(images, moves))


@pytest.mark.parametrize("margin", [2, 4, 9])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_flips_and_shifts_of_every_size_and_layout(margin, layout, dtype):
    draw = np.random.default_rng(0)
    images = torch.from_numpy(draw.integers(0, 256, (7, 3, 5, 6)).astype(np.uint8)).to(dtype)
    images = images.contiguous(memory_format=layout)
    matrices, moves = identity(7)[:, :2], draw.integers(-margin, margin + 1, (7, 2))
    matrices[:, :, 2] = moves
    flipped = np.arange(7) % 2 == 1
    matrices[flipped, 0, 0], matrices[flipped, 0, 2] = -1, 6 - moves[flipped, 0]
    expected = torch.where(torch.from_numpy(flipped)[:, None, None, None], images.flip(3), images)
    assert torch.equal(sample_whole_pixels(images, matrices, margin, "black"), shifted_by_hand(expected, moves))
