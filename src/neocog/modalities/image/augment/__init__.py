"""Augmentation of images: random changes of whole batches, each sample by its own draws.

`augment` changes images, `draw_spatial` gives the spatial transforms among these changes for masks, boxes and points,
`mix` blends pairs with their labels, and `views` is test-time augmentation.
"""

from neocog.modalities.image.augment.apply import augment
from neocog.modalities.image.augment.config import AugmentConfig, check_augment
from neocog.modalities.image.augment.mix import mix
from neocog.modalities.image.augment.spatial import SpatialTransform, draw_spatial
from neocog.modalities.image.augment.tta import Views, num_views, view_weights, views

__all__ = [
    "AugmentConfig",
    "SpatialTransform",
    "Views",
    "augment",
    "check_augment",
    "draw_spatial",
    "mix",
    "num_views",
    "view_weights",
    "views",
]
