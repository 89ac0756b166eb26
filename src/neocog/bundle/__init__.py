"""A trained network as one sealed file, and `Predictor`, the one way from inputs to its predictions.

`model.neocog` holds weights, task, classes, preprocessing and golden samples. Loading it checks every byte, runs no
code from it, and computes the golden samples again. `find_model` finds a network by name, file or bundle.
"""

from neocog.bundle.find_model import Found, find_model
from neocog.bundle.format import read_manifest
from neocog.bundle.load_bundle import load
from neocog.bundle.predictor import Failure, Predictor
from neocog.bundle.seal import read_sealed, write_sealed
from neocog.bundle.write import write_bundle
from neocog.engines.eager import torch_backend
from neocog.engines.engine import Backend
from neocog.tasks import Prediction

__all__ = [
    "Backend",
    "Failure",
    "Found",
    "Prediction",
    "Predictor",
    "find_model",
    "load",
    "read_manifest",
    "read_sealed",
    "torch_backend",
    "write_bundle",
    "write_sealed",
]
