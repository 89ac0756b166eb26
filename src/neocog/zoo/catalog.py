"""Every network by name, with its paper and what it was made for."""

from collections.abc import Callable
from functools import partial

from neocog.zoo.info import ModelInfo
from neocog.zoo.network import Network
from neocog.zoo.networks import (
    char_cnn,
    convnext,
    densenet,
    efficientnet,
    efficientnet_lite,
    mnist1d,
    nf_resnet,
    resnet,
    resnet_cifar,
    resnet_preact,
    shufflenet_v2,
    speech_dscnn,
    speech_resnet,
    unet_encoders,
    vgg,
)
from neocog.zoo.networks.alexnet import AlexNet
from neocog.zoo.networks.alexnet_one_column import AlexNetOneColumn
from neocog.zoo.networks.centernet import CenterNet
from neocog.zoo.networks.centernet_lite import CenterNetLite
from neocog.zoo.networks.fcn import FCN8s
from neocog.zoo.networks.go_policy import GoPolicy
from neocog.zoo.networks.go_residual import GoResidual
from neocog.zoo.networks.googlenet import GoogLeNet
from neocog.zoo.networks.inception_time import InceptionTime
from neocog.zoo.networks.inception_v3 import InceptionV3
from neocog.zoo.networks.lenet5 import LeNet5
from neocog.zoo.networks.lenet5_relu import LeNet5ReLU
from neocog.zoo.networks.mobilenet_v2 import MobileNetV2
from neocog.zoo.networks.neocognitron import Neocognitron
from neocog.zoo.networks.segnet import SegNet
from neocog.zoo.networks.spectrum_cnn import SpectrumCNN
from neocog.zoo.networks.speech_cnn import SpeechCNN
from neocog.zoo.networks.speed import SpeedNet
from neocog.zoo.networks.squeezenet import SqueezeNet
from neocog.zoo.networks.text_cnn import TextCNN
from neocog.zoo.networks.time_series_fcn import TimeSeriesFCN
from neocog.zoo.networks.time_series_resnet import TimeSeriesResNet
from neocog.zoo.networks.unet import SMALL, UNet
from neocog.zoo.networks.unet_1d import UNet1d

__all__ = ["CATALOG"]

Builder = Callable[..., Network]


def imagenet(build: Builder, paper: str, size: int = 224) -> ModelInfo:
    """Made for colour images of a thousand classes."""
    return ModelInfo(build=build, paper=paper, in_channels=3, input_size=(size, size), num_classes=1000)


def ten_classes(build: Builder, paper: str, in_channels: int = 3, size: int = 32) -> ModelInfo:
    """Made for small images of ten classes, such as those of CIFAR-10, or digits."""
    return ModelInfo(build=build, paper=paper, in_channels=in_channels, input_size=(size, size), num_classes=10)


def pixels(
    build: Builder,
    paper: str,
    size: tuple[int, int],
    num_classes: int,
    in_channels: int = 3,
    backbone: str | None = None,
) -> ModelInfo:
    """Made to give every pixel its class."""
    return ModelInfo(
        build=build, paper=paper, in_channels=in_channels, input_size=size, num_classes=num_classes,
        task="segmentation", backbone=backbone,
    )  # fmt: skip


def boxes(build: Builder, paper: str, backbone: str) -> ModelInfo:
    """Made to find the objects of COCO's 80 classes."""
    return ModelInfo(
        build=build, paper=paper, in_channels=3, input_size=(512, 512), num_classes=80,
        task="detection", backbone=backbone,
    )  # fmt: skip


def texts(build: Builder, paper: str, vocabulary: int, length: int, num_classes: int) -> ModelInfo:
    return ModelInfo(
        build=build, paper=paper, in_channels=vocabulary, input_size=(length,), num_classes=num_classes,
        modality="text",
    )  # fmt: skip


def sounds(build: Builder, paper: str, frames: int, bands: int) -> ModelInfo:
    """Made for ten spoken words, silence, and all other words."""
    return ModelInfo(
        build=build, paper=paper, in_channels=1, input_size=(frames, bands), num_classes=12, modality="audio",
    )  # fmt: skip


def signals(build: Builder, paper: str, length: int, num_classes: int) -> ModelInfo:
    return ModelInfo(
        build=build, paper=paper, in_channels=1, input_size=(length,), num_classes=num_classes, modality="signal",
    )  # fmt: skip


def boards(build: Builder, paper: str, planes: int, num_moves: int) -> ModelInfo:
    return ModelInfo(
        build=build, paper=paper, in_channels=planes, input_size=(19, 19), num_classes=num_moves,
        modality="board", task="next move",
    )  # fmt: skip


EFFICIENTNET_SIZES = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380}
LITE_SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}

CATALOG: dict[str, ModelInfo] = {
    "neocognitron": ModelInfo(
        build=Neocognitron, paper="Fukushima 1980",
        in_channels=1, input_size=(28, 28), num_classes=10, trainable=False,
    ),
    "lenet5": ten_classes(LeNet5, "LeCun et al. 1998", in_channels=1),
    "lenet5_relu": ten_classes(LeNet5ReLU, "LeCun et al. 1998", in_channels=1),
    "tutorial_cifar10": ten_classes(LeNet5ReLU, "PyTorch tutorial 2017"),
    "alexnet": imagenet(AlexNet, "Krizhevsky et al. 2012", size=227),
    "alexnet_one_column": imagenet(AlexNetOneColumn, "Krizhevsky 2014"),
    **{name: imagenet(partial(vgg.vgg, name), "Simonyan & Zisserman 2014") for name in vgg.VARIANTS},
    "googlenet": imagenet(GoogLeNet, "Szegedy et al. 2014"),
    "inception_v3": imagenet(InceptionV3, "Szegedy et al. 2015", size=299),
    **{name: imagenet(partial(resnet.resnet, name), "He et al. 2015") for name in resnet.VARIANTS},
    **{name: ten_classes(partial(resnet_cifar.resnet_cifar, name), "He et al. 2015") for name in resnet_cifar.VARIANTS},
    **{
        name: (ten_classes if name.endswith("cifar") else imagenet)(
            partial(resnet_preact.resnet_preact, name), "He et al. 2016"
        )
        for name in resnet_preact.VARIANTS
    },
    **{
        name: (ten_classes if name.endswith("cifar") else imagenet)(
            partial(densenet.densenet, name), "Huang et al. 2016"
        )
        for name in densenet.VARIANTS
    },
    "squeezenet1_1": imagenet(SqueezeNet, "Iandola et al. 2016"),
    "mobilenet_v2": imagenet(MobileNetV2, "Sandler et al. 2018"),
    **{name: imagenet(partial(shufflenet_v2.shufflenet_v2, name), "Ma et al. 2018") for name in shufflenet_v2.VARIANTS},
    **{
        f"efficientnet_{size}": imagenet(
            partial(efficientnet.efficientnet, f"efficientnet_{size}"), "Tan & Le 2019", EFFICIENTNET_SIZES[size]
        )
        for size in EFFICIENTNET_SIZES
    },
    **{
        name: imagenet(partial(efficientnet_lite.efficientnet_lite, name), "Tan & Le 2019", LITE_SIZES[name])
        for name in efficientnet_lite.VARIANTS
    },
    **{name: imagenet(partial(nf_resnet.nf_resnet, name), "Brock et al. 2021") for name in nf_resnet.VARIANTS},
    **{name: imagenet(partial(convnext.convnext, name), "Liu et al. 2022") for name in convnext.VARIANTS},
    "speednet": ten_classes(SpeedNet, "Jordan 2024"),
    "unet": pixels(UNet, "Ronneberger et al. 2015", (572, 572), num_classes=2, in_channels=1),
    "unet_small": pixels(
        partial(UNet, widths=SMALL, norm=True, dropout=0.0), "Ronneberger et al. 2015", (256, 256), num_classes=2
    ),
    **{
        name: pixels(
            partial(unet_encoders.unet_encoder, name), "Iakubovskii 2019", (224, 224), num_classes=2,
            backbone=backbone,
        )
        for name, backbone in (("unet_resnet18", "resnet18"), ("unet_lite0", "efficientnet_lite0"))
    },
    "fcn8s": pixels(FCN8s, "Long et al. 2015", (500, 500), num_classes=21),
    "segnet": pixels(SegNet, "Badrinarayanan et al. 2015", (360, 480), num_classes=11),
    "centernet": boxes(CenterNet, "Zhou et al. 2019", backbone="resnet18"),
    "centernet_lite0": boxes(CenterNetLite, "Zhou et al. 2019", backbone="efficientnet_lite0"),
    "text_cnn": texts(TextCNN, "Kim 2014", vocabulary=20_000, length=50, num_classes=2),
    **{
        name: texts(partial(char_cnn.char_cnn, name), "Zhang et al. 2015", vocabulary=70, length=1014, num_classes=4)
        for name in char_cnn.VARIANTS
    },
    "speech_cnn": sounds(SpeechCNN, "Sainath & Parada 2015", frames=32, bands=40),
    **{
        name: sounds(partial(speech_resnet.speech_resnet, name), "Tang & Lin 2018", frames=101, bands=40)
        for name in speech_resnet.VARIANTS
    },
    **{
        name: sounds(partial(speech_dscnn.speech_dscnn, name), "Zhang et al. 2017", frames=49, bands=10)
        for name in speech_dscnn.VARIANTS
    },
    "mnist1d_greydanus": signals(partial(mnist1d.mnist1d, "mnist1d_greydanus"), "Greydanus 2020", 40, 10),
    "mnist1d_prince": signals(partial(mnist1d.mnist1d, "mnist1d_prince"), "Prince 2023", 40, 10),
    "time_series_fcn": signals(TimeSeriesFCN, "Wang et al. 2017", 140, 2),
    "time_series_resnet": signals(TimeSeriesResNet, "Wang et al. 2017", 140, 2),
    "inception_time": signals(InceptionTime, "Ismail Fawaz et al. 2019", 140, 2),
    "spectrum_cnn": signals(SpectrumCNN, "Cui & Fearn 2018", 100, 1),
    "unet_1d": ModelInfo(
        build=UNet1d, paper="Perslev et al. 2019",
        in_channels=1, input_size=(1024,), num_classes=2, modality="signal", task="signal segmentation",
    ),
    "go_policy": boards(GoPolicy, "Silver et al. 2016", planes=48, num_moves=19 * 19),
    "go_residual": boards(GoResidual, "Silver et al. 2017", planes=17, num_moves=19 * 19 + 1),
}  # fmt: skip
