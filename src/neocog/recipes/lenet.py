"""The LeNet-5 family on small images."""

from neocog.data import AugmentConfig, DataConfig
from neocog.runs import RunConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.zoo import ModelConfig

__all__ = ["lenet5", "lenet5_relu", "tutorial_cifar10"]


def lenet5(data: str) -> RunConfig:
    """LeNet-5 as published, with a modern schedule.

    MNIST: 99.14% on the test split, mean of seeds 0 to 2, in a minute on two cores (docs/figures.md). Published: 99.05%
    without distorted digits, 99.2% with them. The paper trains for 20 epochs, one image at a time, with a rate per
    weight from second derivatives (stochastic diagonal Levenberg-Marquardt), which has no counterpart here.
    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", sections II.B and III.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="lenet5"),
        augment=AugmentConfig(shift=1),
        optimizer=OptimizerConfig(lr=0.004, momentum=0.9),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=12, batch_size=64, clip_norm=4.0),
    )


def lenet5_relu(data: str) -> RunConfig:
    """LeNet-5 with modern layers.

    MNIST: 99.47% on the test split, mean of seeds 0 to 2, in 35 seconds on two cores (docs/figures.md).
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="lenet5_relu"),
        augment=AugmentConfig(shift=2),
        optimizer=OptimizerConfig(lr=0.1, momentum=0.9, weight_decay=5e-4),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=12, batch_size=128),
    )


def tutorial_cifar10(data: str) -> RunConfig:
    """The network of the CIFAR-10 tutorial of PyTorch, trained longer, with flips and shifts."""
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="tutorial_cifar10"),
        augment=AugmentConfig(shift=2, flip=0.5),
        optimizer=OptimizerConfig(lr=0.05, momentum=0.9, weight_decay=5e-4),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=20, batch_size=128),
    )
