"""What other libraries call the parts of GoogLeNet."""

from collections.abc import Mapping

from neocog.zoo.weights.key_map import KeyMap

__all__ = ["conv_norms", "torchvision_googlenet"]

STAGES = (("3a", "3b"), ("4a", "4b", "4c", "4d", "4e"), ("5a", "5b"))
BRANCHES = {"0": "1", "1.0": "2.0", "1.1": "2.1", "2.0": "3.0", "2.1": "3.1", "3.1": "4.1"}


def torchvision_googlenet(auxiliary: bool) -> KeyMap:
    """torchvision's `googlenet`. Its published weights are for pictures of mean and deviation 0.5 per channel."""
    convs, dense = {"stem.0": "conv1", "stem.2": "conv2", "stem.3": "conv3"}, {"head.3": "fc"}
    for i, blocks in enumerate(STAGES):
        for block in blocks:
            for ours, theirs in BRANCHES.items():
                convs[f"stages.{i}.{block}.branches.{ours}"] = f"inception{block}.branch{theirs}"
    if auxiliary:
        for ours, theirs in (("auxiliary.4a", "aux1"), ("auxiliary.4d", "aux2")):
            convs[f"{ours}.1"] = f"{theirs}.conv"
            dense |= {f"{ours}.3": f"{theirs}.fc1", f"{ours}.6": f"{theirs}.fc2"}
    return KeyMap(names=conv_norms(convs) | dense, unused=() if auxiliary else ("aux1.", "aux2."))


def conv_norms(convs: Mapping[str, str]) -> dict[str, str]:
    """The convolution and the batch norm within each of our sequences of both, and within each of theirs."""
    names = {f"{ours}.0": f"{theirs}.conv" for ours, theirs in convs.items()}
    return names | {f"{ours}.1": f"{theirs}.bn" for ours, theirs in convs.items()}
