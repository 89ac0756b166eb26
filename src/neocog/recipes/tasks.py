"""The default recipes of tasks other than classification, whatever the kind of data."""

from neocog.data import AugmentConfig, DataConfig, ImageConfig
from neocog.runs import RunConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.zoo import ModelConfig
from neocog.zoo.weights import available

__all__ = ["detection", "image_values", "segmentation"]

PRETRAINED = "efficientnet_lite0"
DETECTOR = "centernet_lite0"


def image_values(data: str) -> RunConfig:
    """Several labels, or numbers, for each image: EfficientNet-Lite0 fine-tuned if its weights are here, or SpeedNet.

    No image is mirrored: whether a label or a number stays the same is not known. Source: Tan & Le 2019; Jordan 2024.
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
        image=ImageConfig(size=(160, 160), resize="squash"),
        augment=AugmentConfig(translate=0.06, scale=0.1, border="mirror", brightness=0.1, contrast=0.1),
        model=ModelConfig(name=PRETRAINED, pretrained="auto", dropout=0.1),
        optimizer=OptimizerConfig(name="adamw", lr=0.001, weight_decay=0.05, layer_decay=0.8),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=15, batch_size=32, clip_norm=1.0, freeze_bn=True),
    )


def segmentation(data: str) -> RunConfig:
    """U-Net on whole images or tiles, with small rotations and changes of scale. Source: Ronneberger et al. 2015."""
    return RunConfig(
        data=DataConfig(source=data),
        augment=AugmentConfig(rotate=10, scale=0.1, translate=0.05, border="mirror", brightness=0.1, contrast=0.1),
        model=ModelConfig(name="unet"),
        optimizer=OptimizerConfig(name="adamw", lr=0.001, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=30, batch_size=8, clip_norm=1.0),
    )


def detection(data: str) -> RunConfig:
    """CenterNet on EfficientNet-Lite0, whose backbone starts from weights of ImageNet if they are here.

    Images are mirrored, scaled and shifted with their boxes. Source: Zhou et al. 2019; Tan & Le 2019.
    """
    return RunConfig(
        data=DataConfig(source=data),
        augment=AugmentConfig(flip=0.5, scale=0.25, translate=0.1, border="mirror", brightness=0.2, contrast=0.2),
        model=ModelConfig(name=DETECTOR, pretrained="auto"),
        optimizer=OptimizerConfig(name="adamw", lr=0.001, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=60, batch_size=8, clip_norm=10.0),
    )
