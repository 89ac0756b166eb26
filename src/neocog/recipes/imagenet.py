"""The recipes of the ImageNet papers: 1.28 million images of a thousand classes.

They are long, meant for as much data and for GPUs. Three points hold for all of them.

- Their colour noise (Krizhevsky et al. 2012, section 4.1) runs along the principal axes of ImageNet's RGB on any data.
- The papers score the centre of a larger image, 224 of 256. Here the whole image, cropped to a square, is resized.
- If a paper says "when the validation error stops improving", the rate falls at equal distances instead.

Figures are the published ones, on the validation data of ImageNet, not our measurements.
"""

from neocog.data import AugmentConfig, DataConfig
from neocog.runs import RunConfig
from neocog.tasks import LossConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.zoo import ModelConfig

__all__ = ["alexnet", "densenet_imagenet", "googlenet", "inception_v3", "resnet_imagenet", "vgg"]


def alexnet(data: str) -> RunConfig:
    """AlexNet. Published: 59.3% top-1, 81.8% top-5, the mean of ten crops.

    The rate is divided by ten three times within 90 epochs. The paper crops 224x224 pixels out of 256x256; here a
    random resized crop has at least that share of the area, with an aspect ratio of up to 3:4. Pixels have unit
    deviation; in the paper they are 0 to 255 minus their mean, with small initial weights, so learning starts later.
    Source: Krizhevsky et al. 2012, sections 4.1, 5 and 6 (table 2, "1 CNN").
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="alexnet"),
        augment=AugmentConfig(crop_area=0.766, flip=0.5, lighting=0.1),
        optimizer=OptimizerConfig(lr=0.01, momentum=0.9, nesterov=False, weight_decay=5e-4),
        schedule=ScheduleConfig(name="step", step_epochs=22.5, gamma=0.1),
        train=TrainConfig(epochs=90, batch_size=128),
    )


def vgg(data: str) -> RunConfig:
    """VGG-16. Published: 74.4% top-1, 91.9% top-5, trained at sides from 256 to 512 and scored at 384.

    The rate is divided by ten three times within 74 epochs. The paper resizes the shorter side to 256 to 512 and crops
    224x224; here a random resized crop has at least the smallest share of the area that this gives. Without batch norm
    training can fail at the start; `--model vgg16_bn` is safer.
    Source: Simonyan & Zisserman 2015, section 3.1 and table 3 (D).
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="vgg16"),
        augment=AugmentConfig(crop_area=0.191, flip=0.5, lighting=0.1),
        optimizer=OptimizerConfig(lr=0.01, momentum=0.9, nesterov=False, weight_decay=5e-4),
        schedule=ScheduleConfig(name="step", step_epochs=18.5, gamma=0.1),
        train=TrainConfig(epochs=74, batch_size=256),
    )


def googlenet(data: str) -> RunConfig:
    """GoogLeNet, Inception v1. Published: 89.9% top-5, one network and one crop.

    The rate falls by 4% every eight epochs, and the result is the average of the weights. The paper gives no rate,
    batch size, decay or length; they come from a replication in Caffe (Guadarrama, bvlc_googlenet/solver.prototxt).
    The network has batch norm, that of the paper has none.
    Source: Szegedy et al. 2015, "Going deeper with convolutions", sections 6 and 7 (table 3); Howard 2013 for colours.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="googlenet"),
        augment=AugmentConfig(crop_area=0.08, flip=0.5, brightness=0.5, contrast=0.5, saturation=0.5),
        optimizer=OptimizerConfig(lr=0.01, momentum=0.9, nesterov=False, weight_decay=2e-4),
        schedule=ScheduleConfig(name="step", step_epochs=8, gamma=0.96),
        train=TrainConfig(epochs=250, batch_size=32, ema_decay=0.9999),
    )


def inception_v3(data: str) -> RunConfig:
    """Inception v3. Published: 78.8% top-1, 94.4% top-5, one crop.

    The RMSProp of the paper has an epsilon of 1.0, so it hardly divides; SGD with momentum, which it used at first,
    replaces it. The paper has 50 asynchronous replicas with 32 images each; here is one. It gives no weight decay; ours
    is that of the authors' program.
    Source: Szegedy et al. 2016, "Rethinking the inception architecture", sections 7 and 8, and table 3.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="inception_v3"),
        augment=AugmentConfig(crop_area=0.08, flip=0.5),
        loss=LossConfig(label_smoothing=0.1),
        optimizer=OptimizerConfig(lr=0.045, momentum=0.9, nesterov=False, weight_decay=4e-5),
        schedule=ScheduleConfig(name="step", step_epochs=2, gamma=0.94),
        train=TrainConfig(epochs=100, batch_size=32, clip_norm=2.0, ema_decay=0.9999),
    )


def resnet_imagenet(data: str) -> RunConfig:
    """ResNet-50. Published: 75.99% top-1, 92.98% top-5, one crop; ResNet-18 69.59%, -34 73.27%, -101 77.56%.

    The figures are those of a replication that trained for 90 epochs, with smaller crops, colour augmentation and
    Nesterov momentum, as here (Gross & Wilber 2016, fb.resnet.torch). The paper divides the rate when the error stops
    falling, for up to 600,000 steps, which are 120 epochs.
    Source: He et al. 2016, section 3.4.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="resnet50"),
        augment=AugmentConfig(crop_area=0.08, flip=0.5, brightness=0.4, contrast=0.4, saturation=0.4, lighting=0.1),
        optimizer=OptimizerConfig(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
        schedule=ScheduleConfig(name="step", step_epochs=30, gamma=0.1),
        train=TrainConfig(epochs=90, batch_size=256),
    )


def densenet_imagenet(data: str) -> RunConfig:
    """DenseNet-121. Published: 74.98% top-1, 92.29% top-5, one crop; -169 76.20%, -201 77.42%.

    Images are augmented as in `resnet_imagenet`, whose program the authors used.
    Source: Huang et al. 2017, section 4.2 and table 3.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="densenet121"),
        augment=AugmentConfig(crop_area=0.08, flip=0.5, brightness=0.4, contrast=0.4, saturation=0.4, lighting=0.1),
        optimizer=OptimizerConfig(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
        schedule=ScheduleConfig(name="step", step_epochs=30, gamma=0.1),
        train=TrainConfig(epochs=90, batch_size=256),
    )
