"""Modern training of a network of 2015: "ResNet strikes back" (Wightman et al. 2021), in three lengths.

Large batches with LAMB, a cosine schedule, and strong augmentation: crops, flips, RandAugment, MixUp and CutMix. Norms
and biases are not decayed, and each class has its own binary cross-entropy. The network is ResNet-50; the paper trains
others, such as EfficientNet, in the same way.

Differences from table 2 of the paper:

- Our ResNets have no stochastic depth (A1 and A2: 0.05). Set `--model.stochastic_depth` with a network that has it.
- The magnitude of RandAugment is fixed; in the paper it varies with a deviation of 0.5.
- The whole image is scored, at the training size; the paper scores 95% of it, at 224x224 also in A3.

A batch of 2,048 is meant for several GPUs. With a batch of b images, multiply the rate by the square root of b / 2048
(You et al. 2020). Figures are the published ones for ResNet-50 on ImageNet, not our measurements.
"""

from neocog.data import AugmentConfig, DataConfig, ImageConfig
from neocog.runs import RunConfig
from neocog.tasks import LossConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.zoo import ModelConfig

__all__ = ["strong_a1", "strong_a2", "strong_a3"]


def strong_a1(data: str) -> RunConfig:
    """600 epochs, for the best result. Published: 80.4% top-1."""
    return strong(data, epochs=600, lr=0.005, weight_decay=0.01, magnitude=7, mixup=0.2, smoothing=0.1, repeats=3)


def strong_a2(data: str) -> RunConfig:
    """300 epochs. Published: 79.8% top-1."""
    return strong(data, epochs=300, lr=0.005, weight_decay=0.02, magnitude=7, mixup=0.1, repeats=3)


def strong_a3(data: str) -> RunConfig:
    """100 epochs on images of 160x160, for little time. Published: 78.1% top-1."""
    return strong(data, epochs=100, lr=0.008, weight_decay=0.02, magnitude=6, mixup=0.1, size=(160, 160))


def strong(
    data: str,
    *,
    epochs: int,
    lr: float,
    weight_decay: float,
    magnitude: float,
    mixup: float,
    smoothing: float = 0.0,
    repeats: int = 1,
    size: tuple[int, int] | None = None,
) -> RunConfig:
    """The settings that the three share. Source: Wightman et al. 2021, table 2."""
    return RunConfig(
        data=DataConfig(source=data, repeats=repeats),
        image=ImageConfig(size=size),
        model=ModelConfig(name="resnet50"),
        augment=AugmentConfig(
            crop_area=0.08, flip=0.5, policy="randaugment", magnitude=magnitude, number=2, mixup=mixup, cutmix=1.0
        ),
        loss=LossConfig(kind="binary_cross_entropy", label_smoothing=smoothing),
        optimizer=OptimizerConfig(name="lamb", lr=lr, eps=1e-6, weight_decay=weight_decay, decay="weights"),
        schedule=ScheduleConfig(name="cosine", warmup_epochs=5),
        train=TrainConfig(epochs=epochs, batch_size=2048),
    )
