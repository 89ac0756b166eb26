"""From a network and data to trained weights: the loop, and what it is made of.

Everything random is keyed and everything else is saved, so that a run that is killed anywhere and resumed ends, on a
CPU, with the same bits as one that was never stopped.
"""

from neocog.training.checkpoint import Checkpoint, load_checkpoint, read_checkpoint, save_checkpoint
from neocog.training.clock import Clock
from neocog.training.config import TrainConfig, check_train
from neocog.training.divergence import divergence
from neocog.training.interrupt import Interrupt, Interrupted
from neocog.training.loop import Checkpointer, FitSettings, fit
from neocog.training.optim import (
    OptimizerConfig,
    ScheduleConfig,
    check_schedule,
    clip_adaptively,
    learning_rate,
    lookahead,
    make_optimizer,
    perturb_weights,
    set_rate,
)
from neocog.training.precise_bn import freeze_norms, precise_bn
from neocog.training.shapes import check_input
from neocog.training.state import State, Training, WeightAverage, build_seeded

__all__ = [
    "Checkpoint",
    "Checkpointer",
    "Clock",
    "FitSettings",
    "Interrupt",
    "Interrupted",
    "OptimizerConfig",
    "ScheduleConfig",
    "State",
    "TrainConfig",
    "Training",
    "WeightAverage",
    "build_seeded",
    "check_input",
    "check_schedule",
    "check_train",
    "clip_adaptively",
    "divergence",
    "fit",
    "freeze_norms",
    "learning_rate",
    "load_checkpoint",
    "lookahead",
    "make_optimizer",
    "perturb_weights",
    "precise_bn",
    "read_checkpoint",
    "save_checkpoint",
    "set_rate",
]
