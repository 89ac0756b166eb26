"""Names of torchvision and timm for the parts of GoogLeNet and Inception v3."""

from collections.abc import Mapping

from neocog.zoo.weights.key_map import KeyMap

__all__ = ["timm_inception_v3", "torchvision_googlenet", "torchvision_inception_v3"]

# GoogLeNet

GOOGLENET_STAGES = (("3a", "3b"), ("4a", "4b", "4c", "4d", "4e"), ("5a", "5b"))
GOOGLENET_BRANCHES = {"0": "1", "1.0": "2.0", "1.1": "2.1", "2.0": "3.0", "2.1": "3.1", "3.1": "4.1"}


def torchvision_googlenet(auxiliary: bool) -> KeyMap:
    """torchvision's `googlenet`. Its published weights are for images of mean and deviation 0.5 per channel."""
    convs, dense = {"stem.0": "conv1", "stem.2": "conv2", "stem.3": "conv3"}, {"head.3": "fc"}
    for i, blocks in enumerate(GOOGLENET_STAGES):
        for block in blocks:
            for ours, theirs in GOOGLENET_BRANCHES.items():
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


# Inception v3


def in_order(branch: int, theirs: str, count: int) -> dict[str, str]:
    """A branch of several convolutions, which they number from 1."""
    return {f"{branch}.{i}": f"{theirs}_{i + 1}" for i in range(count)}


# Within a block's branches.
BLOCK_35 = {"0.0": "1x1"} | in_order(1, "5x5", 2) | in_order(2, "3x3dbl", 3) | {"3.1": "_pool"}
REDUCTION_35 = {"0": "3x3"} | in_order(1, "3x3dbl", 3)
BLOCK_17 = {"0.0": "1x1"} | in_order(1, "7x7", 3) | in_order(2, "7x7dbl", 5) | {"3.1": "_pool"}
REDUCTION_17 = in_order(0, "3x3", 2) | in_order(1, "7x7x3", 4)
BLOCK_8 = {
    "0.0": "1x1",
    "1.0": "3x3_1", "1.1.branches.0": "3x3_2a", "1.1.branches.1": "3x3_2b",
    "2.0": "3x3dbl_1", "2.1": "3x3dbl_2", "2.2.branches.0": "3x3dbl_3a", "2.2.branches.1": "3x3dbl_3b",
    "3.1": "_pool",
}  # fmt: skip
INCEPTION_STAGES = (
    {"5b": BLOCK_35, "5c": BLOCK_35, "5d": BLOCK_35},
    {"6a": REDUCTION_35, "6b": BLOCK_17, "6c": BLOCK_17, "6d": BLOCK_17, "6e": BLOCK_17},
    {"7a": REDUCTION_17, "7b": BLOCK_8, "7c": BLOCK_8},
)
INCEPTION_STEM = {"0": "1a_3x3", "1": "2a_3x3", "2": "2b_3x3", "4": "3b_1x1", "5": "4a_3x3"}


def torchvision_inception_v3(auxiliary: bool) -> KeyMap:
    """torchvision's `inception_v3`. Its published weights are for images of mean and deviation 0.5 per channel."""
    convs, dense = {f"stem.{ours}": f"Conv2d_{theirs}" for ours, theirs in INCEPTION_STEM.items()}, {"head.3": "fc"}
    for i, stage in enumerate(INCEPTION_STAGES):
        for j, (block, branches) in enumerate(stage.items()):
            for ours, theirs in branches.items():
                convs[f"stages.{i}.{j}.branches.{ours}"] = f"Mixed_{block}.branch{theirs}"
    if auxiliary:
        convs |= {"auxiliary.convs.0": "AuxLogits.conv0", "auxiliary.convs.1": "AuxLogits.conv1"}
        dense["auxiliary.head.2"] = "AuxLogits.fc"
    return KeyMap(names=conv_norms(convs) | dense, unused=() if auxiliary else ("AuxLogits.",))


def timm_inception_v3(auxiliary: bool) -> KeyMap:
    """timm's `inception_v3`, which has torchvision's names; of its files only `tv_in1k` has an auxiliary classifier."""
    return torchvision_inception_v3(auxiliary)
