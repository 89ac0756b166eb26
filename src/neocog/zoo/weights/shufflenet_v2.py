"""What others call the parts of ShuffleNet V2."""

from neocog.zoo.networks.shufflenet_v2 import DEPTHS
from neocog.zoo.weights.key_map import KeyMap

__all__ = ["torchvision_shufflenet_v2"]

# Within a unit, ours -> theirs: convolutions and norms, each at its place in a list with the activations.
PASSING = {"0.0": "0", "0.1": "1", "1.0": "2", "1.1": "3"}
WORKING = {"0.0": "0", "0.1": "1", "1.0": "3", "1.1": "4", "2.0": "5", "2.1": "6"}


def torchvision_shufflenet_v2() -> KeyMap:
    """torchvision's shufflenet_v2 of any width."""
    names = {"stem.0": "conv1.0", "stem.1": "conv1.1", "head.0.0": "conv5.0", "head.0.1": "conv5.1", "head.3": "fc"}
    for i, depth in enumerate(DEPTHS):
        ours, theirs = f"stages.{i}", f"stage{i + 2}"
        names |= {f"{ours}.0.passing.{a}": f"{theirs}.0.branch1.{b}" for a, b in PASSING.items()}
        for j in range(depth):
            names |= {f"{ours}.{j}.working.{a}": f"{theirs}.{j}.branch2.{b}" for a, b in WORKING.items()}
    return KeyMap(names=names)
