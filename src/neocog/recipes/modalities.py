"""The default recipes of data other than images."""

from dataclasses import replace

import numpy as np

from neocog.data import (
    AudioConfig,
    BoardAugmentConfig,
    BoardConfig,
    DataConfig,
    SignalAugmentConfig,
    Source,
    open_source,
)
from neocog.errors import NeocogError
from neocog.runs import RunConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.zoo import ModelConfig

__all__ = [
    "board",
    "board_epochs",
    "board_tower",
    "keyword",
    "signal",
    "signal_segmentation",
    "sound",
    "sound_values",
    "text",
]

WIDTH = 5.6
POSITIONS = 200_000  # in all epochs
TRAINED = 0.72  # of the positions of games without splits: 80% without the test, 90% of them without validation


SHOWN, EPOCHS = 60_000, range(20, 201)
"""Signals in all epochs together, and the least and the most epochs."""


def signal(data: str, source: Source | None = None) -> RunConfig:
    """A residual network, the strong baseline of the field; the checkpoint with the lowest validation loss.

    Its epochs show about 60,000 signals in all: small data sets need as many steps as large ones. Small data sets have
    a handful of validation samples, whose loss says more than their accuracy.
    Source: Wang et al. 2017, "Time series classification from scratch"; Ismail Fawaz et al. 2019, "Deep learning for
    time series classification: a review", whose best of nine networks on 85 data sets it is.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="time_series_resnet"),
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


def keyword(data: str) -> RunConfig:
    """A keyword network that the user names, on the features that it was published with, masked.

    Source: Tang & Lin 2018; Park et al. 2019.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="speech_res8"),
        augment_signal=SignalAugmentConfig(time_mask=0.1, frequency_mask=0.1),
        optimizer=OptimizerConfig(name="adamw", lr=0.003, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=20, batch_size=32, clip_norm=1.0),
    )


def sound(data: str) -> RunConfig:
    """A small network of separable convolutions on mel bands that are masked and shifted, for voices never heard.

    Source: Zhang et al. 2017; Park et al. 2019 for masks; Jaitly & Hinton 2013 for vocal tracts of other lengths.
    """
    plain = sound_values(data)
    masks = SignalAugmentConfig(time_mask=0.2, frequency_mask=0.1, frequency_masks=2, frequency_shift=3)
    return replace(plain, augment_signal=masks)


def sound_values(data: str) -> RunConfig:
    """Several labels, or numbers, for each recording: as `sound`, but nothing is masked or shifted.

    Whether a label or a number stays the same then is not known.
    """
    return RunConfig(
        data=DataConfig(source=data),
        audio=AudioConfig(features="mel", num_mels=20),
        model=ModelConfig(name="speech_dscnn_s"),
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


def board(data: str, source: Source | None = None) -> RunConfig:
    """A residual tower that predicts the next move; each position is turned and mirrored by the board's symmetries.

    The tower's depth follows from the board's size and its width from the number of positions: see `board_tower`. The
    epochs show about two hundred thousand positions in all. The planes are AlphaGo's, which tell liberties, captures
    and ladders. With Muon it learns in a third of the steps that AdamW takes.
    Source: Silver et al. 2017, supervised learning; Silver et al. 2016, extended data table 2; Jordan et al. 2024.
    """
    found = look_at_games(data, source)
    return RunConfig(
        data=DataConfig(source=data),
        board=BoardConfig(features="alphago48"),
        augment_board=BoardAugmentConfig(symmetries=True),
        model=ModelConfig(name="go_residual", widths=None if found is None else board_tower(*found)),
        optimizer=OptimizerConfig(name="muon", lr=0.03, momentum=0.9, weight_decay=0.01),
        schedule=ScheduleConfig(name="one_cycle"),
        train=TrainConfig(epochs=board_epochs(found[0]) if found else 10, batch_size=128, clip_norm=1.0),
    )


def board_tower(num_positions: int, size: int) -> tuple[int, ...]:
    """The width of each residual block of a network for boards of a size, trained on a number of positions.

        blocks = (size - 1) / 2,  so that each point sees the whole board: 3 + 4 blocks >= 2 size - 1
        width  = 5.6 positions^(1/4),  in steps of 8 from 16 to 256

    >>> board_tower(15_000, 9), board_tower(1_000_000, 19)[0], len(board_tower(1_000_000, 19))
    ((64, 64, 64, 64), 176, 9)
    """
    width = 8 * round(WIDTH * num_positions**0.25 / 8)
    return (min(256, max(16, width)),) * max(2, size // 2)


def board_epochs(num_positions: int) -> int:
    """How many epochs show about two hundred thousand positions; at least three.

    >>> board_epochs(10_000), board_epochs(1_000_000), board_epochs(100)
    (20, 3, 60)
    """
    return min(60, max(3, round(POSITIONS / max(1, num_positions))))


def look_at_games(data: str, source: Source | None) -> tuple[int, int] | None:
    """The number of training positions, and the board's size; None if the data can't be opened: training says why."""
    try:
        source = source or open_source(data)
        if source.modality != "board" or not len(source):
            return None
        payload = source.read(0).payload
    except NeocogError:
        return None
    held = source.splits.get("train")
    num = len(held) if held is not None else round(TRAINED * len(source))
    return (num, int(np.ravel(payload)[0])) if isinstance(payload, np.ndarray) else None
