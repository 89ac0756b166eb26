"""The recipes of the papers for CIFAR-10 and CIFAR-100: 50,000 images of 32x32.

Images are flipped and shifted by up to four pixels. The border is black; in the papers it is the mean grey.
The papers train on all 50,000; here a tenth is for validation (`--data.val_fraction`), so an epoch has fewer steps.
Figures are the published ones, on the test data, not our measurements.
"""

from neocog.data import AugmentConfig, DataConfig
from neocog.runs import RunConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.zoo import ModelConfig

__all__ = ["densenet_cifar", "resnet_cifar"]


def resnet_cifar(data: str) -> RunConfig:
    """ResNet-20. Published, CIFAR-10: 91.25%; with 32 layers 92.49%, 44 92.83%, 56 93.03%, 110 93.57% (best of five).

    The rate is divided by ten at 32,000 and 48,000 steps of 64,000. An epoch of 50,000 images has 391.
    With 110 layers the paper starts with a tenth of the rate for about 400 steps: make "constant 1 at 0.1" the first
    phase of `--schedule.phases`, and the second one epoch shorter.
    Source: He et al. 2016, section 4.2 and table 6.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="resnet20_cifar"),
        augment=AugmentConfig(shift=4, flip=0.5),
        optimizer=OptimizerConfig(lr=0.1, momentum=0.9, nesterov=False, weight_decay=1e-4),
        schedule=ScheduleConfig(
            name="sequence", phases=("constant 81.841 at 1", "constant 40.921 at 0.1", "constant 41.238 at 0.01")
        ),
        train=TrainConfig(epochs=164, batch_size=128),
    )


def densenet_cifar(data: str) -> RunConfig:
    """DenseNet-BC with 100 layers and growth rate 12. Published: CIFAR-10 95.49%, CIFAR-100 77.73%.

    The rate is divided by ten at 50% and at 75% of the steps. For images that are not augmented the paper adds
    dropout: `--model.dropout 0.2`.
    Source: Huang et al. 2017, section 4.2 and table 2.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="densenet100_12_cifar"),
        augment=AugmentConfig(shift=4, flip=0.5),
        optimizer=OptimizerConfig(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
        schedule=ScheduleConfig(
            name="sequence", phases=("constant 150 at 1", "constant 75 at 0.1", "constant 75 at 0.01")
        ),
        train=TrainConfig(epochs=300, batch_size=64),
    )
