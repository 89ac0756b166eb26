"""For which networks of the catalogue there are published weights, and what those call their tensors."""

from collections.abc import Mapping
from typing import Any

from neocog.zoo.networks import convnext, densenet, efficientnet, resnet, shufflenet_v2, vgg
from neocog.zoo.weights.alexnet import torchvision_alexnet
from neocog.zoo.weights.convnext import timm_convnext, torchvision_convnext
from neocog.zoo.weights.densenet import torchvision_densenet
from neocog.zoo.weights.efficientnet import timm_efficientnet, torchvision_efficientnet
from neocog.zoo.weights.googlenet import torchvision_googlenet
from neocog.zoo.weights.inception_v3 import timm_inception_v3, torchvision_inception_v3
from neocog.zoo.weights.key_map import KeyMap
from neocog.zoo.weights.mobilenet_v2 import timm_mobilenet_v2, torchvision_mobilenet_v2
from neocog.zoo.weights.resnet import torchvision_resnet
from neocog.zoo.weights.shufflenet_v2 import torchvision_shufflenet_v2
from neocog.zoo.weights.squeezenet import torchvision_squeezenet
from neocog.zoo.weights.vgg import timm_vgg, torchvision_vgg

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
    """What torchvision and timm call the tensors of a network of the catalogue that was built with these options."""
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
        case _ if name in convnext.VARIANTS:
            return {"torchvision": torchvision_convnext(name), "timm": timm_convnext(name)}
    return {}
