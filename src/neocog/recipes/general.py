"""Settings for any network that has no recipe of its own."""

from neocog.data import AugmentConfig, DataConfig
from neocog.runs import RunConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig

__all__ = ["general"]


def general(data: str) -> RunConfig:
    """AdamW at a rate that deep and shallow networks bear, with batch norm and without.

    Families learn digits in one epoch at rates from this one to eight times it (tests/slow/test_families_learn.py); one
    that stands all of them goes before one that is the fastest for some.
    """
    return RunConfig(
        data=DataConfig(source=data),
        augment=AugmentConfig(shift=2),
        optimizer=OptimizerConfig(name="adamw", lr=0.0005, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=10, batch_size=64, clip_norm=1.0),
    )
