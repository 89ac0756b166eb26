"""What others call the parts of DenseNet; timm has torchvision's names."""

from neocog.zoo.networks.densenet import VARIANTS
from neocog.zoo.weights.key_map import KeyMap

__all__ = ["torchvision_densenet"]

LAYERS = {0: "norm1", 2: "conv1", 4: "norm2", 6: "conv2"}  # by their place in our branch
OLDER = {f"{kind}.{i}.": f"{kind}{i}." for kind in ("norm", "conv") for i in (1, 2)}  # in the published files


def torchvision_densenet(variant: str) -> KeyMap:
    """Of densenet121, 161, 169 or 201."""
    _, _, depths = VARIANTS[variant]
    names = {"stem.0": "features.conv0", "stem.1": "features.norm0", "head.2": "classifier"}
    for i, depth in enumerate(depths):
        for j in range(depth):
            for place, layer in LAYERS.items():
                names[f"stages.{i}.1.{j}.branch.{place}"] = f"features.denseblock{i + 1}.denselayer{j + 1}.{layer}"
        if i > 0:
            names |= {
                f"stages.{i}.0.0": f"features.transition{i}.norm",
                f"stages.{i}.0.2": f"features.transition{i}.conv",
            }
    names[f"stages.{len(depths) - 1}.2"] = "features.norm5"
    return KeyMap(names=names, older=OLDER)
