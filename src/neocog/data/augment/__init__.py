"""Augmentation: random changes of whole batches, each sample by its own draws.

`augment` changes pictures, `draw_geometry` gives the moves among these changes for masks, boxes and points, `mix`
blends pairs with their labels, and `views` is what a finished network is shown of one picture.
"""

from neocog.data.augment.config import AugmentConfig, check_augment
from neocog.data.augment.geometry import Geometry
from neocog.data.augment.images import augment
from neocog.data.augment.mix import mix
from neocog.data.augment.moves import draw_geometry
from neocog.data.augment.views import Views, num_views, view_weights, views

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
