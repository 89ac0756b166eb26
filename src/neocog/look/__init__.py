"""A look at training images before a network is chosen: what they are, how much detail matters, which symmetries hold.

`look_at_images` measures within a few seconds and gives an `ImageLook`. Detail and symmetries are measured with a probe
(`probe`): a ridge regression on fixed features (`features`), which tells what an image of some size, or a mirrored one,
still says about its class.
"""

from neocog.look.facts import ClassCount, ImageFacts
from neocog.look.images import ImageLook, look_at_images
from neocog.look.probe import Interval
from neocog.look.resolution import Detail, Resolution
from neocog.look.symmetry import SYMMETRIES, Symmetry

__all__ = [
    "SYMMETRIES", "ClassCount", "Detail", "ImageFacts", "ImageLook", "Interval", "Resolution", "Symmetry",
    "look_at_images",
]  # fmt: skip
