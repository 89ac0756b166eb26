"""Augmentation: random changes of whole batches, each sample by its own draws.

`augment` changes pictures, `draw_geometry` gives the moves among these changes for masks, boxes and points, `mix`
blends pairs with their labels, and `views` is what a finished network is shown of one picture.
"""

from neocog.modalities.image.augment.config import AugmentConfig, check_augment
from neocog.modalities.image.augment.images import augment
from neocog.modalities.image.augment.mix import mix
from neocog.modalities.image.augment.random_resized_crop import draw_geometry
from neocog.modalities.image.augment.spatial import Geometry
from neocog.modalities.image.augment.tta import Views, num_views, view_weights, views

__all__ = [
    "AugmentConfig",
    "Geometry",
    "Views",
    "augment",
    "check_augment",
    "draw_geometry",
    "mix",
    "num_views",
    "view_weights",
    "views",
]
