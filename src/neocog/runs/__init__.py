"""Runs: settings with their provenance, the run folder, and the functions that wire everything together."""

from neocog.runs.config import RunConfig, Settled, read_config, settle
from neocog.runs.evaluate_bundle import evaluate
from neocog.runs.folder import Run
from neocog.runs.train_run import resume, train

__all__ = [
    "Run",
    "RunConfig",
    "Settled",
    "evaluate",
    "read_config",
    "resume",
    "settle",
    "train",
]
