"""From a network and data to trained weights: the loop, and what it is made of.

Everything random is keyed and everything else is saved, so a run that is killed anywhere and resumed ends, on a CPU,
with the same bits as one that was left alone.
"""

from neocog.training.adaptive_clipping import clip_adaptively
from neocog.training.averaging import AveragedModel
from neocog.training.checkpoint import Checkpoint, load_checkpoint, read_checkpoint, save_checkpoint
from neocog.training.config import TrainConfig, check_train
from neocog.training.divergence import divergence
from neocog.training.interrupt import Interrupt, Interrupted
from neocog.training.lookahead import lookahead
from neocog.training.loop import Keeper, fit
from neocog.training.optimizers import OptimizerConfig, make_optimizer, set_rate
from neocog.training.precise_bn import freeze_norms, precise_bn
from neocog.training.sam import perturbed
from neocog.training.schedules import ScheduleConfig, check_schedule, learning_rate
from neocog.training.shapes import check_input
from neocog.training.state import State, Training, build_seeded

__all__ = [
    "AveragedModel",
    "Checkpoint",
    "Interrupt",
    "Interrupted",
    "Keeper",
    "OptimizerConfig",
    "ScheduleConfig",
    "State",
    "TrainConfig",
    "Training",
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
    "perturbed",
    "precise_bn",
    "read_checkpoint",
    "save_checkpoint",
    "set_rate",
]
