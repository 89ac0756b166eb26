"""Tasks: what a target means, from its encoding and loss to its metrics and the way it is shown.

`TASKS` lists them by name; `register_task` adds one. The rest of the program asks the `Task` and never which one it is.
"""

from neocog.tasks.classification import Classification, ClassPrediction, LossConfig, NextMove
from neocog.tasks.criterion import Criterion
from neocog.tasks.task import TASKS, Prediction, Task, register_task

__all__ = [
    "TASKS",
    "ClassPrediction",
    "Classification",
    "Criterion",
    "LossConfig",
    "NextMove",
    "Prediction",
    "Task",
    "register_task",
]
