"""Finders: a short trial on a copy, before a run, that proposes its learning rate or its batch size."""

from neocog.training.finders.batch_size import BatchSizeSearch, SizeTrial, find_batch_size, search_sizes
from neocog.training.finders.learning_rate import RateCurve, Suggestion, range_test, suggest
from neocog.training.finders.memory import free_bytes
from neocog.training.finders.trial import Batches, Trial, TrialSettings

__all__ = [
    "BatchSizeSearch",
    "Batches",
    "RateCurve",
    "SizeTrial",
    "Suggestion",
    "Trial",
    "TrialSettings",
    "find_batch_size",
    "free_bytes",
    "range_test",
    "search_sizes",
    "suggest",
]
