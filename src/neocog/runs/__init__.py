"""Runs: settings with their provenance, the run folder, and the functions that wire everything together."""

from neocog.runs.compare_bundles import Comparison, compare
from neocog.runs.config import ResolvedConfig, RunConfig, read_config, resolve
from neocog.runs.evaluate_bundle import evaluate
from neocog.runs.folder import Run
from neocog.runs.provenance import FLAG, PYTHON, Provenance, SetBy
from neocog.runs.train_run import resume, train

__all__ = [
    "FLAG",
    "PYTHON",
    "Comparison",
    "Provenance",
    "ResolvedConfig",
    "Run",
    "RunConfig",
    "SetBy",
    "compare",
    "evaluate",
    "read_config",
    "resolve",
    "resume",
    "train",
]
