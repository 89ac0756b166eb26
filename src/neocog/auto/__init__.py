"""The recipe `auto`: look at the data, race a few candidates, and train the best of them in the time that is left."""

from neocog.auto.search import is_searching, resume, resume_training, train

__all__ = ["is_searching", "resume", "resume_training", "train"]
