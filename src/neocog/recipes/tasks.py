"""The default recipes of tasks other than classification, whatever the kind of data."""

from neocog.data import AugmentConfig, DataConfig, ImageConfig, Source
from neocog.recipes.objects import look_at_objects
from neocog.runs import RunConfig
from neocog.tasks import LossConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.training.speed import SpeedConfig
from neocog.zoo import ModelConfig
from neocog.zoo.weights import available

__all__ = ["detection", "image_labels", "image_values", "segmentation", "signal_values"]

PRETRAINED, ENCODER, DETECTOR = "efficientnet_lite0", "unet_lite0", "centernet_lite0"
LEAST_SIDE, SHRINK = 8, 2  # pixels of a small object as the network sees it, and by how much images are shrunk


def image_values(data: str) -> RunConfig:
    """Numbers for each image: EfficientNet-Lite0 if its weights are here, or SpeedNet.

    Its head is first fitted to frozen features by ridge regression, which is kept if fine-tuning does not improve on
    it. Then all of it is fine-tuned at a low rate, each stage at 0.9 of the rate of the next one. No image is mirrored:
    whether a number stays the same is not known. Source: Kumar et al. 2022; Howard & Ruder 2018, section 3.2.
    """
    if available(PRETRAINED) is None:
        return RunConfig(
            data=DataConfig(source=data),
            image=ImageConfig(size=(64, 64), resize="squash"),
            augment=AugmentConfig(translate=0.06),
            model=ModelConfig(name="speednet"),
            optimizer=OptimizerConfig(name="adamw", lr=0.002, weight_decay=0.05),
            schedule=ScheduleConfig(name="one_cycle"),
            train=TrainConfig(epochs=30, batch_size=64, clip_norm=1.0),
        )
    return RunConfig(
        data=DataConfig(source=data),
        image=ImageConfig(size=(128, 128), resize="squash"),
        augment=AugmentConfig(translate=0.06, scale=0.1, border="mirror", brightness=0.1, contrast=0.1),
        model=ModelConfig(name=PRETRAINED, pretrained="auto", head="logistic", dropout=0.0, stochastic_depth=0.0),
        optimizer=OptimizerConfig(name="adamw", lr=0.0002, weight_decay=0.05, decay="weights", layer_decay=0.9),
        schedule=ScheduleConfig(name="triangular", rise=0.1),
        train=TrainConfig(epochs=10, batch_size=32, clip_norm=1.0, freeze_bn=True, ema_decay=0.99),
    )


def image_labels(data: str) -> RunConfig:
    """Several labels for each image: as for numbers, with a head that is first fitted by logistic regression."""
    return image_values(data)


def signal_values(data: str) -> RunConfig:
    """Numbers for each signal: a network that keeps places apart, as spectra need it; many short epochs.

    Source: Cui & Fearn 2018.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="spectrum_cnn"),
        optimizer=OptimizerConfig(name="adamw", lr=0.002, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=200, batch_size=16, clip_norm=1.0),
    )


def segmentation(data: str) -> RunConfig:
    """Masks: U-Net on EfficientNet-Lite0 if its weights are here, else a small U-Net with batch norm.

    Classes weigh by their frequency, or small ones are found late. Images are turned by at most 10 degrees, scaled by a
    tenth, and changed in brightness and contrast. None is mirrored: whether left and right are alike is not known.
    Source: Ronneberger et al. 2015; Iakubovskii 2019; Eigen & Fergus 2015.
    """
    return RunConfig(
        data=DataConfig(source=data),
        augment=AugmentConfig(rotate=10, scale=0.1, translate=0.05, border="mirror", brightness=0.1, contrast=0.1),
        model=ModelConfig(name=ENCODER, pretrained="auto") if available(ENCODER) else ModelConfig(name="unet_small"),
        loss=LossConfig(class_weights="balanced"),
        optimizer=OptimizerConfig(name="adamw", lr=0.003, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=30, batch_size=4, clip_norm=1.0),
        speed=SpeedConfig(budget=0.1),
    )


def detection(data: str, source: Source | None = None) -> RunConfig:
    """CenterNet on EfficientNet-Lite0, whose backbone starts from weights of ImageNet if they are here.

    If nine of ten objects have 16 pixels or more, the network computes on images of half the sides, in a quarter of the
    time, so that the same minutes show each image more often. Images are mirrored, scaled and shifted with their boxes,
    and turned upside down if objects are then told from the background as well as before. The result is a moving
    average of the weights. Source: Zhou et al. 2019; Tan & Le 2019; Shi et al. 2016.
    """
    look = look_at_objects(data, source)
    large = look is not None and look.side >= LEAST_SIDE * SHRINK
    colours = look is not None and look.has_colours
    return RunConfig(
        data=DataConfig(source=data),
        augment=AugmentConfig(
            flip=0.5, vertical_flip=0.5 if look is not None and look.holds("flip") else 0.0, scale=0.3, translate=0.1,
            border="mirror", brightness=0.2, contrast=0.2, saturation=0.2 if colours else 0.0,
            hue=0.02 if colours else 0.0,
        ),
        model=ModelConfig(name=DETECTOR, pretrained="auto", shrink=SHRINK if large else None),
        optimizer=OptimizerConfig(name="adamw", lr=0.002, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=120 if large else 60, batch_size=4, clip_norm=10.0, ema_decay=0.99),
        speed=SpeedConfig(budget=0.1),
    )  # fmt: skip
