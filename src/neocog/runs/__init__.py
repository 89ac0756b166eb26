"""Runs: settings with their provenance, the run folder, and the functions that wire everything together."""

from neocog.runs.config import ResolvedConfig, RunConfig, read_config, resolve
from neocog.runs.evaluate_bundle import evaluate
from neocog.runs.folder import Run
from neocog.runs.provenance import FLAG, PYTHON, Provenance, SetBy
from neocog.runs.train_run import resume, train

__all__ = [
    "FLAG",
    "PYTHON",
    "Provenance",
    "ResolvedConfig",
    "Run",
    "RunConfig",
    "SetBy",
    "evaluate",
    "read_config",
    "resolve",
    "resume",
    "train",
]
