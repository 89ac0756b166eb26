"""Optimisation: update rules, parameter groups, learning-rate schedules, and what wraps or clips a step."""

from neocog.training.optim.clipping import clip_adaptively
from neocog.training.optim.lookahead import lookahead
from neocog.training.optim.optimizers import OptimizerConfig, make_optimizer, penalise, set_rate, start_momenta
from neocog.training.optim.sam import perturb_weights
from neocog.training.optim.schedules import ScheduleConfig, check_schedule, learning_rate

__all__ = [
    "OptimizerConfig",
    "ScheduleConfig",
    "check_schedule",
    "clip_adaptively",
    "learning_rate",
    "lookahead",
    "make_optimizer",
    "penalise",
    "perturb_weights",
    "set_rate",
    "start_momenta",
]
