"""Augmentation of images: random changes of whole batches, each sample by its own draws.

`augment` changes images, `draw_spatial` gives the spatial transforms among these changes for masks, boxes and points,
and `mix` blends pairs with their labels. Test-time augmentation is in `neocog.modalities.image.tta`.
"""

from neocog.modalities.image.augment.apply import augment
from neocog.modalities.image.augment.config import AugmentConfig, check_augment
from neocog.modalities.image.augment.mix import mix
from neocog.modalities.image.augment.spatial import SpatialTransform, draw_spatial

__all__ = ["AugmentConfig", "SpatialTransform", "augment", "check_augment", "draw_spatial", "mix"]
