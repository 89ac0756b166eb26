"""Finders: a short trial on a copy, before a run, that proposes its learning rate or its batch size."""

from neocog.training.finders.batch import BatchSizes, Tried, search_sizes
from neocog.training.finders.measure import find_size
from neocog.training.finders.memory import free_bytes
from neocog.training.finders.rate import RateCurve, range_test
from neocog.training.finders.suggest import Suggestion, suggest
from neocog.training.finders.trial import Batches, Trial

__all__ = [
    "BatchSizes",
    "Batches",
    "RateCurve",
    "Suggestion",
    "Trial",
    "Tried",
    "find_size",
    "free_bytes",
    "range_test",
    "search_sizes",
    "suggest",
]
