"""What other libraries call the parts of VGG."""

from neocog.zoo.networks.vgg import VARIANTS
from neocog.zoo.weights.key_map import KeyMap

__all__ = ["timm_vgg", "torchvision_vgg"]


def torchvision_vgg(variant: str) -> KeyMap:
    """torchvision's network of the same name."""
    dense = {"head.3": "classifier.0", "head.6": "classifier.3", "head.9": "classifier.6"}
    return KeyMap(names=numbered(variant) | dense)


def timm_vgg(variant: str) -> KeyMap:
    """timm's network of the same name, whose hidden dense layers are stored as convolutions."""
    dense = {"head.3": "pre_logits.fc1", "head.6": "pre_logits.fc2", "head.9": "head.fc"}
    return KeyMap(names=numbered(variant) | dense)


def numbered(variant: str) -> dict[str, str]:
    """Convolutions and norms as both number them: with ReLUs and poolings, through all resolutions."""
    depths, norm = VARIANTS[variant]
    period = 3 if norm else 2  # convolution, norm, ReLU
    names, number = {}, 0
    for i, depth in enumerate(depths):
        part = f"stages.{i - 1}" if i else "stem"
        first = 1 if i else 0  # behind the pooling with which our stages begin
        for layer in range(period * depth):
            if layer % period != period - 1:  # not a ReLU
                names[f"{part}.{first + layer}"] = f"features.{number + layer}"
        number += period * depth + 1
    return names
