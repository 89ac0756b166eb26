"""Neocog: convolutional networks for your own images, signals, audio, texts and Go games, from the plan to the model.

The public names load on first use, so that `neocog --help` does not wait for torch.
"""

import os
from typing import TYPE_CHECKING

from neocog.lazy import loads

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
    from neocog.exporting.export import export
    from neocog.offline import predict_files
    from neocog.planning import Plan, plan
    from neocog.recipes import list_recipes, recipe, resolve_config
    from neocog.runs import Comparison, Run, RunConfig, compare, evaluate
    from neocog.runs.bench_bundle import EngineBench, bench
    from neocog.runs.compute_features import features
    from neocog.serving.run import serve
    from neocog.studio.serve import open_studio
    from neocog.tuning import Study, tune
    from neocog.verbs import find_batch, find_rate, resume, train
    from neocog.zoo import create_model, list_models

HOMES = {
    "CNNClassifier": "estimators",
    "CNNRegressor": "estimators",
    "Comparison": "runs",
    "EngineBench": "runs.bench_bundle",
    "Evaluation": "evaluation",
    "Explanation": "explaining.explanation",
    "NeocogError": "errors",
    "Plan": "planning",
    "Prediction": "bundle",
    "Predictor": "bundle",
    "Preprocess": "data",
    "Run": "runs",
    "RunConfig": "runs",
    "Study": "tuning",
    "bench": "runs.bench_bundle",
    "compare": "runs",
    "create_model": "zoo",
    "evaluate": "runs",
    "explain": "explaining.explain",
    "export": "exporting.export",
    "features": "runs.compute_features",
    "find_batch": "verbs",
    "find_rate": "verbs",
    "list_models": "zoo",
    "list_recipes": "recipes",
    "load": "bundle",
    "open_source": "data",
    "open_studio": "studio.serve",
    "plan": "planning",
    "predict_files": "offline",
    "recipe": "recipes",
    "resolve_config": "recipes",
    "resume": "verbs",
    "serve": "serving.run",
    "train": "verbs",
    "tune": "tuning",
}

__all__ = [
    "CNNClassifier",
    "CNNRegressor",
    "Comparison",
    "EngineBench",
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
    "bench",
    "compare",
    "create_model",
    "evaluate",
    "explain",
    "export",
    "features",
    "find_batch",
    "find_rate",
    "list_models",
    "list_recipes",
    "load",
    "open_source",
    "open_studio",
    "plan",
    "predict_files",
    "recipe",
    "resolve_config",
    "resume",
    "serve",
    "train",
    "tune",
]


__getattr__ = loads(__name__, HOMES)


def __dir__() -> list[str]:
    return __all__
