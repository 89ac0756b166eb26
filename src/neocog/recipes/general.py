"""Settings for any network without a recipe of its own."""

from neocog.data import AugmentConfig, DataConfig
from neocog.runs import RunConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig

__all__ = ["general"]


def general(data: str) -> RunConfig:
    """AdamW at a rate that is safe for deep and shallow networks, with batch norm and without.

    Every family learns MNIST in one epoch at 1x to 8x this rate (tests/slow/test_families_learn.py); we prefer a rate
    that is safe for all to one that is fastest for some.
    """
    return RunConfig(
        data=DataConfig(source=data),
        augment=AugmentConfig(shift=2),
        optimizer=OptimizerConfig(name="adamw", lr=0.0005, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=10, batch_size=64, clip_norm=1.0),
    )
