"""What other libraries call the parts of ConvNeXt."""

from collections.abc import Callable, Mapping

from neocog.zoo.networks.convnext import VARIANTS
from neocog.zoo.weights.key_map import KeyMap

__all__ = ["timm_convnext", "torchvision_convnext"]


def torchvision_convnext(variant: str = "convnext_tiny") -> KeyMap:
    """Names in torchvision's networks: stages and the patches between them take turns."""
    return key_map(
        variant,
        ends={"stem.0": "features.0.0", "stem.1": "features.0.1", "head.2": "classifier.0", "head.3": "classifier.2"},
        patches=lambda s: f"features.{2 * s}",
        block=lambda s, b: f"features.{2 * s + 1}.{b}",
        parts={"scale": "layer_scale"} | {f"branch.{i}": f"block.{j}" for i, j in ((0, 0), (1, 2), (2, 3), (4, 5))},
    )


def timm_convnext(variant: str = "convnext_tiny") -> KeyMap:
    """Names in timm's networks."""
    branch = {"branch.0": "conv_dw", "branch.1": "norm", "branch.2": "mlp.fc1", "branch.4": "mlp.fc2"}
    return key_map(
        variant,
        ends={"stem.0": "stem.0", "stem.1": "stem.1", "head.2": "head.norm", "head.3": "head.fc"},
        patches=lambda s: f"stages.{s}.downsample",
        block=lambda s, b: f"stages.{s}.blocks.{b}",
        parts={"scale": "gamma"} | branch,
    )


def key_map(
    variant: str,
    ends: Mapping[str, str],
    patches: Callable[[int], str],
    block: Callable[[int, int], str],
    parts: Mapping[str, str],
) -> KeyMap:
    """The ends; norm and patches, which begin each of our stages but the first; the parts of each block behind them."""
    names = dict(ends)
    for s, depth in enumerate(VARIANTS[variant][0]):
        start = 0 if s == 0 else 2
        names |= {f"stages.{s}.{i}": f"{patches(s)}.{i}" for i in range(start)}
        for b in range(depth):
            names |= {f"stages.{s}.{start + b}.{ours}": f"{block(s, b)}.{theirs}" for ours, theirs in parts.items()}
    return KeyMap(names=names)
