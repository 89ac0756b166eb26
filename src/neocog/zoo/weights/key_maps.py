"""For which networks there are published weights, and what torchvision, timm and packages call the parts of each.

A map is made by loops over stages and blocks: our module on the left, theirs on the right.
"""

from collections.abc import Callable, Mapping
from typing import Any

from neocog.zoo.networks import (
    convnext,
    densenet,
    efficientnet,
    efficientnet_lite,
    resnet,
    shufflenet_v2,
    squeezenet,
    vgg,
)
from neocog.zoo.weights.inception_maps import timm_inception_v3, torchvision_googlenet, torchvision_inception_v3
from neocog.zoo.weights.key_map import KeyMap
from neocog.zoo.weights.mobile_maps import (
    package_efficientnet_lite,
    timm_efficientnet,
    timm_mobilenet_v2,
    torchvision_efficientnet,
    torchvision_mobilenet_v2,
    torchvision_shufflenet_v2,
)

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
