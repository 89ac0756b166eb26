"""Augmentation: random changes of whole batches, each sample by its own draws.

`augment` changes pictures, `draw_geometry` gives the moves among these changes for masks, boxes and points, and
`mix` blends pairs with their labels. Test-time augmentation is in `neocog.modalities.image.tta`.
"""

from neocog.modalities.image.augment.config import AugmentConfig, check_augment
from neocog.modalities.image.augment.images import augment
from neocog.modalities.image.augment.mix import mix
from neocog.modalities.image.augment.random_resized_crop import draw_geometry
from neocog.modalities.image.augment.spatial import Geometry

__all__ = [
    "AugmentConfig",
    "Geometry",
    "augment",
    "check_augment",
    "draw_geometry",
    "mix",
]
