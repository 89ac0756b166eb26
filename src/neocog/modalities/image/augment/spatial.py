"""Spatial augmentation: one affine transform for each image, so that images, masks, boxes and points move alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import UNLABELLED, Objects, take_objects
from neocog.modalities.augment import Key, draw_chosen
from neocog.modalities.image.augment import affine
from neocog.modalities.image.augment.affine import Matrices, identity, sample_bilinear, sample_nearest
from neocog.modalities.image.augment.config import AugmentConfig, Border
from neocog.modalities.image.augment.policies import draw_policy
from neocog.rng import integers, uniform

__all__ = ["SpatialTransform", "draw_spatial"]

VISIBLE = 0.1  # an object is kept if at least this share of its moved box is still in the image
CROP_ASPECT = (3 / 4, 4 / 3)  # width to height; Szegedy et al. 2015, "Going deeper with convolutions", section 6
CROP_TRIALS = 10


@dataclass(frozen=True, slots=True)
class SpatialTransform:
    """The affine transforms of a batch.

    Places are in pixels from the upper left corner: pixel columns 3 to 5 reach from x = 3 to x = 6.
    """

    matrices: Matrices
    """From a place (x, y) in the new image to one in the old: old = matrix[:, :2] @ new + matrix[:, 2]; (N, 2, 3)."""
    size: tuple[int, int]
    """Height and width of the images."""
    border: Border = "black"
    """Fill of the area outside the image."""
    margin: int = 0
    """How far images move by whole pixels at most."""
    resampled: bool = True
    """Whether some may need interpolation, so that all become floats."""

    def images(self, images: Tensor) -> Tensor:
        """The images transformed; (N, C, H, W) -> the same.

        Of the same type if they are only flipped and moved by whole pixels, else float32, bilinear.
        """
        copy = partial(affine.sample_whole_pixels, margin=self.margin, border=self.border)
        if not self.resampled:
            return copy(images, self.matrices)
        images, whole = images.float(), self.whole_pixels()
        if not whole.any():
            return sample_bilinear(images, self.matrices, self.border)
        moved = torch.empty_like(images)
        for sample, chosen in ((copy, whole), (partial(sample_bilinear, border=self.border), ~whole)):
            places = torch.from_numpy(np.flatnonzero(chosen)).to(images.device)
            if len(places):
                moved.index_copy_(0, places, sample(images.index_select(0, places), self.matrices[chosen]))
        return moved

    def whole_pixels(self) -> NDArray[np.bool_]:
        """Which images are only flipped and moved by whole pixels within the margin; (N,)."""
        (xx, xy), (yx, yy) = self.matrices[:, :, :2].transpose(1, 2, 0)
        straight = (np.abs(xx) == 1) & (np.abs(yy) == 1) & (xy == 0) & (yx == 0)
        moves = affine.translations(self.matrices, self.size)
        near = (moves == np.round(moves)) & (np.abs(moves) <= self.margin)
        return np.asarray(straight & near.all(axis=1))

    def masks(self, masks: Tensor) -> Tensor:
        """Class masks transformed, the class of the nearest pixel; (N, H, W) or (N, K, H, W) uint8 -> the same.

        What comes in from outside is unlabelled, 255, whatever the border.
        """
        planes = masks if masks.ndim == 4 else masks[:, None]
        return sample_nearest(planes, self.matrices, UNLABELLED).view_as(masks)

    def points(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Where places (x, y) of the old images move to, also outside the new; (N, P, 2) -> the same."""
        inverse = np.linalg.inv(self.matrices[:, :, :2])
        return np.asarray((points - self.matrices[:, None, :, 2]) @ inverse.transpose(0, 2, 1))

    def boxes(self, objects: Sequence[Objects]) -> list[Objects]:
        """The objects of each image moved: boxes that enclose what they enclosed, clipped to the image.

        An object is dropped if less than a tenth of its moved box is left. If it is rotated or sheared and its mask is
        known, the new box encloses the new mask, which is tighter than around the corners of the old box.
        """
        return [self.objects_of(i, given) if len(given) else given for i, given in enumerate(objects)]

    def objects_of(self, i: int, given: Objects) -> Objects:
        """The objects of image i, of which there is at least one."""
        left, top, right, bottom = given.boxes.astype(np.float64).T
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])  # (4, 2, M)
        part = SpatialTransform(self.matrices[i : i + 1], self.size)
        places = part.points(corners.transpose(2, 0, 1).reshape(1, -1, 2)).reshape(-1, 4, 2)
        boxes = np.concatenate([places.min(axis=1), places.max(axis=1)], axis=1)
        clipped = boxes.clip(0, [self.size[1], self.size[0]] * 2)
        left_over, whole = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (clipped, boxes))
        boxes, kept = clipped, left_over >= VISIBLE * whole
        masks = None
        if given.masks is not None:
            planes = torch.from_numpy(given.masks[None].astype(np.uint8))
            masks = sample_nearest(planes, part.matrices, 0)[0].bool().numpy()
            kept &= masks.any(axis=(1, 2))
            if part.matrices[0, 0, 1] or part.matrices[0, 1, 0]:
                boxes[kept] = [enclose(mask) for mask in masks[kept]]
        taken = take_objects(given, kept, boxes[kept])
        return taken if masks is None else replace(taken, masks=masks[kept])


def enclose(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The box around what is true in (H, W)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def draw_spatial(
    samples: NDArray[np.uint64], size: tuple[int, int], config: AugmentConfig, *, seed: int, epoch: int
) -> SpatialTransform:
    """How `augment` transforms these images of this height and width; (N,) samples.

    An image is cropped, flipped, shifted, then rotated, scaled and sheared about its centre, then transformed as its
    policy says: one map, and so one interpolation. The spatial part of a policy thus comes before its colours.
    """
    key: Key = {"seed": seed, "epoch": epoch, "samples": samples}
    matrices = shift_and_flip(config, key, size)
    if config.crop_area < 1:
        matrices = random_resized_crop(config.crop_area, key, size) @ matrices
    if config.rotate or config.scale or config.shear:
        matrices = matrices @ affine.keep_centre(rotate_scale_shear(config, key), size)
    if config.policy:
        matrices = matrices @ draw_policy(config, key).matrices(size)
    # A crop reaches the edge of the image and not beyond; black from outside would darken its outermost pixels.
    border = config.border if config.leaves else "edge"
    return SpatialTransform(matrices[:, :2], size, border, config.shift, config.resamples)


def shift_and_flip(config: AugmentConfig, key: Key, size: tuple[int, int]) -> Matrices:
    """old = flipped(new + shift); (N, 3, 3)."""
    height, width = size
    matrices = identity(len(key["samples"]))
    if config.shift:
        moves = integers(**key, purpose="shift", low=-config.shift, high=config.shift, num=2)
        matrices[:, 1, 2], matrices[:, 0, 2] = moves.T
    if config.translate:
        matrices[:, :2, 2] += config.translate * (2 * uniform(**key, purpose="translate", num=2) - 1) * [width, height]
    if config.flip:
        # Alternating flips: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds", section 3.6
        first: Key = {**key, "epoch": 0} if config.alternate else key
        turned = config.alternate and bool(key["epoch"] % 2)
        flip(matrices, 0, width, draw_chosen(first, "flip", config.flip) ^ turned)
    if config.vertical_flip:
        flip(matrices, 1, height, draw_chosen(key, "vertical flip", config.vertical_flip))
    return matrices


def flip(matrices: Matrices, axis: int, side: int, rows: NDArray[np.bool_]) -> None:
    """old = side - (new + shift) along an axis, in the chosen ones of these maps new + shift."""
    matrices[rows, axis, axis] = -1
    matrices[rows, axis, 2] = side - matrices[rows, axis, 2]


def rotate_scale_shear(config: AugmentConfig, key: Key) -> NDArray[np.float64]:
    """Rotation and scale after the shear, as seen from the new image; (N, 2, 2)."""
    draws = 2 * uniform(**key, purpose="warp", num=4) - 1
    angle, zoom = np.deg2rad(config.rotate) * draws[:, 0], 1 + config.scale * draws[:, 1]
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    right, below = config.shear * draws[:, 2], config.shear * draws[:, 3]
    parts = [cos + sin * below, cos * right + sin, cos * below - sin, cos - sin * right]
    return np.stack(parts, axis=1).reshape(-1, 2, 2)


def random_resized_crop(least: float, key: Key, size: tuple[int, int]) -> Matrices:
    """A window of a drawn area, aspect ratio and place, stretched to the whole; (N, 3, 3).

    Ten areas and aspect ratios are tried until one fits into the image; otherwise the whole image is taken, cropped to
    the nearest aspect ratio. Source: Szegedy et al. 2015, section 6, where the area is 8% to 100%.
    """
    (height, width), (low, high) = size, np.log(CROP_ASPECT)
    draws = uniform(**key, purpose="crop", num=2 + 2 * CROP_TRIALS)
    areas = (least + (1 - least) * draws[:, 2 : 2 + CROP_TRIALS]) * height * width
    aspects = np.exp(low + (high - low) * draws[:, 2 + CROP_TRIALS :])
    w, h = np.sqrt(areas * aspects), np.sqrt(areas / aspects)
    fits = (w <= width) & (h <= height)
    trial = np.arange(len(fits)), fits.argmax(axis=1)
    found = fits[trial]
    aspect = np.clip(width / height, *CROP_ASPECT)
    w = np.where(found, w[trial], min(width, height * aspect))
    h = np.where(found, h[trial], min(height, width / aspect))
    left, top = np.where(found, draws[:, :2].T, 0.5) * [width - w, height - h]
    matrices = identity(len(fits))
    matrices[:, 0, 0], matrices[:, 1, 1] = w / width, h / height
    matrices[:, 0, 2], matrices[:, 1, 2] = left, top
    return matrices
