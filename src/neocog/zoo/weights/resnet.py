"""What torchvision and timm call the parts of ResNets; the two agree."""

from neocog.zoo.networks.resnet import VARIANTS, basic
from neocog.zoo.weights.key_map import KeyMap

__all__ = ["torchvision_resnet"]


def torchvision_resnet(variant: str) -> KeyMap:
    """For resnet18 to resnet152; timm's models of the same names too."""
    _, branch, _, depths = VARIANTS[variant]
    names = {"stem.0.0": "conv1", "stem.0.1": "bn1", "head.2": "fc"}
    for i, depth in enumerate(depths):
        for j in range(depth):
            for k in range(2 if branch is basic else 3):
                names[f"stages.{i}.{j}.branch.{2 * k}.0"] = f"layer{i + 1}.{j}.conv{k + 1}"
                names[f"stages.{i}.{j}.branch.{2 * k}.1"] = f"layer{i + 1}.{j}.bn{k + 1}"
        for k in (0, 1):  # in the first stage, only bottlenecks change the channels
            if i > 0 or branch is not basic:
                names[f"stages.{i}.0.shortcut.{k}"] = f"layer{i + 1}.0.downsample.{k}"
    return KeyMap(names=names)
