"""What other libraries call the parts of EfficientNet."""

from collections.abc import Callable, Mapping

from neocog.zoo.networks.efficientnet import VARIANTS, depths
from neocog.zoo.weights.key_map import KeyMap

__all__ = ["timm_efficientnet", "torchvision_efficientnet"]

Names = Mapping[str, str]


def torchvision_efficientnet(variant: str = "efficientnet_b0") -> KeyMap:
    """Names in torchvision's networks `efficientnet_b0` to `efficientnet_b4`."""
    ends = {
        "stem.0": "features.0.0", "stem.1": "features.0.1",
        "head.0": "features.8.0", "head.1": "features.8.1", "head.6": "classifier.1",
    }  # fmt: skip
    first = {
        "0.0": "0.0", "0.1": "0.1",
        "1.reduce": "1.fc1", "1.expand": "1.fc2",
        "2.0": "2.0", "2.1": "2.1",
    }  # fmt: skip
    other = {
        "0.0": "0.0", "0.1": "0.1",
        "1.0": "1.0", "1.1": "1.1",
        "2.reduce": "2.fc1", "2.expand": "2.fc2",
        "3.0": "3.0", "3.1": "3.1",
    }  # fmt: skip
    return key_map(variant, ends, lambda s, b: f"features.{s + 1}.{b}.block", first, other)


def timm_efficientnet(variant: str = "efficientnet_b0") -> KeyMap:
    """Names in timm's networks `efficientnet_b0` to `efficientnet_b4`.

    Those called `tf_efficientnet_...` have the same names and other arithmetic: a larger epsilon, uneven padding.
    """
    ends = {
        "stem.0": "conv_stem", "stem.1": "bn1",
        "head.0": "conv_head", "head.1": "bn2", "head.6": "classifier",
    }  # fmt: skip
    first = {
        "0.0": "conv_dw", "0.1": "bn1",
        "1.reduce": "se.conv_reduce", "1.expand": "se.conv_expand",
        "2.0": "conv_pw", "2.1": "bn2",
    }  # fmt: skip
    other = {
        "0.0": "conv_pw", "0.1": "bn1",
        "1.0": "conv_dw", "1.1": "bn2",
        "2.reduce": "se.conv_reduce", "2.expand": "se.conv_expand",
        "3.0": "conv_pwl", "3.1": "bn3",
    }  # fmt: skip
    return key_map(variant, ends, lambda s, b: f"blocks.{s}.{b}", first, other)


def key_map(variant: str, ends: Names, block: Callable[[int, int], str], first: Names, other: Names) -> KeyMap:
    """The ends, and the parts of each block: of those in the first stage, which do not widen, and of all others."""
    names = dict(ends)
    for s, depth in enumerate(depths(VARIANTS[variant][1])):
        parts = first if s == 0 else other
        names |= {f"stages.{s}.{b}.{ours}": f"{block(s, b)}.{parts[ours]}" for b in range(depth) for ours in parts}
    return KeyMap(names=names)
