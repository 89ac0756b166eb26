"""The default recipes of data other than images."""

from neocog.data import DataConfig, SignalAugmentConfig, Source
from neocog.runs import RunConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.zoo import ModelConfig

__all__ = ["board", "signal", "signal_segmentation", "sound", "text"]


SHOWN, EPOCHS = 60_000, range(20, 201)
"""Signals in all epochs together, and the least and the most epochs."""


def signal(data: str, source: Source | None = None) -> RunConfig:
    """A fully convolutional network, the strong baseline of the field; the checkpoint with the lowest validation loss.

    Its epochs show about 60,000 signals in all: small data sets need as many steps as large ones. Small data sets have
    a handful of validation samples, whose loss says more than their accuracy.
    Source: Wang et al. 2017, "Time series classification from scratch".
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="time_series_fcn"),
        optimizer=OptimizerConfig(name="adamw", lr=0.002, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=epochs_for(source), batch_size=16, clip_norm=1.0, monitor="loss"),
    )


def epochs_for(source: Source | None) -> int:
    """How many epochs show about as many signals; 50 if the data isn't open yet.

    >>> epochs_for(None)
    50
    """
    if source is None:
        return 50
    count = len(source.splits.get("train", source.splits.get("all", ())))
    return min(max(round(SHOWN / max(1, count)), EPOCHS[0]), EPOCHS[-1])


def signal_segmentation(data: str) -> RunConfig:
    """A one-dimensional U-Net, with signals shifted by up to 16 samples and scaled. Source: Perslev et al. 2019."""
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="unet_1d"),
        augment_signal=SignalAugmentConfig(scale=0.1, shift=16),
        optimizer=OptimizerConfig(name="adamw", lr=0.002, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=30, batch_size=16, clip_norm=1.0),
    )


def sound(data: str) -> RunConfig:
    """A small residual network on masked spectrograms. Source: Tang & Lin 2018; Park et al. 2019."""
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="speech_res8"),
        augment_signal=SignalAugmentConfig(time_mask=0.1, frequency_mask=0.1),
        optimizer=OptimizerConfig(name="adamw", lr=0.003, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=20, batch_size=32, clip_norm=1.0),
    )


def text(data: str) -> RunConfig:
    """Word vectors and filters over three, four and five words, trained from scratch. Source: Kim 2014, CNN-rand."""
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="text_cnn"),
        optimizer=OptimizerConfig(name="adamw", lr=0.001, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=6, batch_size=50, clip_norm=1.0),
    )


def board(data: str) -> RunConfig:
    """A residual tower that predicts the next move. Source: Silver et al. 2017, supervised learning."""
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="go_residual"),
        optimizer=OptimizerConfig(name="adamw", lr=0.001, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=10, batch_size=64, clip_norm=1.0),
    )
