"""Augmentation: random changes of whole batches, each sample by its own draws.

`augment` changes pictures, `draw_geometry` gives the moves among these changes for masks, boxes and points, `mix`
blends pairs with their labels, and `tta_views` gives the views of test-time augmentation.
"""

from neocog.modalities.image.augment.config import AugmentConfig, check_augment
from neocog.modalities.image.augment.images import augment
from neocog.modalities.image.augment.mix import mix
from neocog.modalities.image.augment.random_resized_crop import draw_geometry
from neocog.modalities.image.augment.spatial import Geometry
from neocog.modalities.image.augment.tta import TTA, tta_views, tta_weights

__all__ = [
    "TTA",
    "AugmentConfig",
    "Geometry",
    "augment",
    "check_augment",
    "draw_geometry",
    "mix",
    "tta_views",
    "tta_weights",
]
