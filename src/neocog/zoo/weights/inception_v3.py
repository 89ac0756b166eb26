"""What other libraries call the parts of Inception v3."""

from neocog.zoo.weights.googlenet import conv_norms
from neocog.zoo.weights.key_map import KeyMap

__all__ = ["timm_inception_v3", "torchvision_inception_v3"]


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
STAGES = (
    {"5b": BLOCK_35, "5c": BLOCK_35, "5d": BLOCK_35},
    {"6a": REDUCTION_35, "6b": BLOCK_17, "6c": BLOCK_17, "6d": BLOCK_17, "6e": BLOCK_17},
    {"7a": REDUCTION_17, "7b": BLOCK_8, "7c": BLOCK_8},
)
STEM = {"0": "1a_3x3", "1": "2a_3x3", "2": "2b_3x3", "4": "3b_1x1", "5": "4a_3x3"}


def torchvision_inception_v3(auxiliary: bool) -> KeyMap:
    """torchvision's `inception_v3`. Its published weights are for pictures of mean and deviation 0.5 per channel."""
    convs, dense = {f"stem.{ours}": f"Conv2d_{theirs}" for ours, theirs in STEM.items()}, {"head.3": "fc"}
    for i, stage in enumerate(STAGES):
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
