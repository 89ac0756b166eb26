"""What a target means: how a network's output is scored while it learns, and what it says when it has learned."""

from neocog.tasks.classification import Classification, LossConfig
from neocog.tasks.criterion import Criterion

__all__ = ["Classification", "Criterion", "LossConfig"]
