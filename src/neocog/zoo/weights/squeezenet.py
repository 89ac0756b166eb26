"""What others call the parts of SqueezeNet."""

from neocog.zoo.networks.squeezenet import SQUEEZED
from neocog.zoo.weights.key_map import KeyMap

__all__ = ["torchvision_squeezenet"]


def torchvision_squeezenet() -> KeyMap:
    """torchvision's squeezenet1_1: one list of layers, in which poolings and activations count."""
    names = {"stem.0": "features.0", "head.1": "classifier.1"}
    place = 3  # behind the stem's convolution, ReLU and pooling
    for i, row in enumerate(SQUEEZED):
        pooling = 1 if i > 0 else 0
        place += pooling
        for j in range(len(row)):
            for part in ("squeeze", "expand1x1", "expand3x3"):
                names[f"stages.{i}.{pooling + j}.{part}.0"] = f"features.{place}.{part}"
            place += 1
    return KeyMap(names=names)
