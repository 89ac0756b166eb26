"""Neocog: convolutional networks for your own images, signals, audio, texts and Go games, from the plan to the model.

The public names load on first use, so that `neocog --help` does not wait for torch.
"""

import importlib
import os
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Threads of libgomp, torch's on Linux, spin while they wait for each other. If another process is busy, they spin for a
# whole slice of its time: steps then take ten times as long. Read by libgomp when torch is first imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if TYPE_CHECKING:
    from neocog.bundle import Prediction, Predictor, load
    from neocog.data import Preprocess, open_source
    from neocog.errors import NeocogError
    from neocog.estimators import CNNClassifier, CNNRegressor
    from neocog.evaluation import Evaluation
    from neocog.explaining.explain import explain
    from neocog.explaining.explanation import Explanation
    from neocog.planning import Plan, plan
    from neocog.recipes import list_recipes, recipe, resolve_config
    from neocog.runs import Comparison, Run, RunConfig, compare, evaluate
    from neocog.runs.compute_features import features
    from neocog.studio.serve import open_studio
    from neocog.tuning import Study, tune
    from neocog.verbs import find_batch, find_rate, resume, train
    from neocog.zoo import create_model, list_models

HOMES = {
    "CNNClassifier": "neocog.estimators",
    "CNNRegressor": "neocog.estimators",
    "Comparison": "neocog.runs",
    "Evaluation": "neocog.evaluation",
    "Explanation": "neocog.explaining.explanation",
    "NeocogError": "neocog.errors",
    "Plan": "neocog.planning",
    "Prediction": "neocog.bundle",
    "Predictor": "neocog.bundle",
    "Preprocess": "neocog.data",
    "Run": "neocog.runs",
    "RunConfig": "neocog.runs",
    "Study": "neocog.tuning",
    "compare": "neocog.runs",
    "create_model": "neocog.zoo",
    "evaluate": "neocog.runs",
    "explain": "neocog.explaining.explain",
    "features": "neocog.runs.compute_features",
    "find_batch": "neocog.verbs",
    "find_rate": "neocog.verbs",
    "list_models": "neocog.zoo",
    "list_recipes": "neocog.recipes",
    "load": "neocog.bundle",
    "open_source": "neocog.data",
    "open_studio": "neocog.studio.serve",
    "plan": "neocog.planning",
    "recipe": "neocog.recipes",
    "resolve_config": "neocog.recipes",
    "resume": "neocog.verbs",
    "train": "neocog.verbs",
    "tune": "neocog.tuning",
}

__all__ = [
    "CNNClassifier",
    "CNNRegressor",
    "Comparison",
    "Evaluation",
    "Explanation",
    "NeocogError",
    "Plan",
    "Prediction",
    "Predictor",
    "Preprocess",
    "Run",
    "RunConfig",
    "Study",
    "__version__",
    "compare",
    "create_model",
    "evaluate",
    "explain",
    "features",
    "find_batch",
    "find_rate",
    "list_models",
    "list_recipes",
    "load",
    "open_source",
    "open_studio",
    "plan",
    "recipe",
    "resolve_config",
    "resume",
    "train",
    "tune",
]


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module 'neocog' has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
