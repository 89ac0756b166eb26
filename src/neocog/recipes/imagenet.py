"""The recipes of the papers that ImageNet made: 1.28 million pictures of a thousand classes.

They are long: meant for that data, or as much, and for GPUs. Three things are the same in all of them.

- Their colour noise (Krizhevsky et al. 2012, section 4.1) runs along the principal axes of ImageNet's RGB on any data.
- The papers score the centre of a larger picture, 224 of 256. Here the whole picture, cut to a square, is resized.
- Where a paper says "when the validation error stops improving", the rate falls at equal distances instead.

What each reaches is what was published, on ImageNet's validation data, and not a measurement of ours.
"""

from neocog.data import AugmentConfig, DataConfig
from neocog.runs import RunConfig
from neocog.tasks import LossConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.zoo import ModelConfig

__all__ = ["alexnet", "densenet_imagenet", "googlenet", "inception_v3", "resnet_imagenet", "vgg"]


def alexnet(data: str) -> RunConfig:
    """AlexNet. Published: 59.3% top-1, 81.8% top-5, the mean of ten crops.

    The rate is divided by ten three times within 90 epochs. The paper cuts 224x224 pixels out of 256x256; here a cut
    has at least that share of the area, is up to 3:4 in shape, and is stretched. Pixels have unit deviation; the
    paper's run from 0 to 255 less their mean, for which its first weights are small, so that learning starts later.
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

    The rate is divided by ten three times within 74 epochs. The paper resizes the shorter side to 256 to 512 and cuts
    out 224x224; here a cut has at least the smallest share of the area that this gives. Without batch norm the start
    can fail; `--model vgg16_bn` is the safer network.
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

    The rate falls by 4% every eight epochs, and the average of the weights is the result. The paper names no rate,
    batch size, decay or length; they are those of a replication in Caffe (Guadarrama, bvlc_googlenet/solver.prototxt).
    The network has batch norm, which the paper's has not.
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

    The paper's RMSProp divides by the root of the second mean plus 1.0, and so hardly: SGD with momentum, which it used
    at first, stands in for it. The paper has 50 replicas of 32 pictures each that do not wait for each other; here is
    one. It names no weight decay; that is the one of the authors' program.
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

    Those are the figures of a replication that trained for 90 epochs, with smaller cuts, changed colours and Nesterov's
    momentum, as here (Gross & Wilber 2016, fb.resnet.torch). The paper divides the rate when the error stops falling,
    for up to 600,000 steps, which are 120 epochs.
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

    Pictures are changed as in `resnet_imagenet`, whose program the authors used.
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
