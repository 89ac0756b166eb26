"""What other libraries call the parts of AlexNet in one column."""

from neocog.zoo.weights.key_map import KeyMap

__all__ = ["torchvision_alexnet"]


def torchvision_alexnet() -> KeyMap:
    """torchvision's `alexnet`, which is `alexnet_one_column` here: plain numbers, as in a sequence."""
    convs = {"stem.0": 0, "stages.0.0": 3, "stages.1.1": 6, "stages.1.3": 8, "stages.1.5": 10}
    dense = {"head.4": 1, "head.7": 4, "head.9": 6}
    names = {ours: f"features.{number}" for ours, number in convs.items()}
    return KeyMap(names=names | {ours: f"classifier.{number}" for ours, number in dense.items()})
