"""A trained network as one sealed file, and the one way to ask it.

`model.neocog` holds weights, classes, preprocessing and golden samples; loading it checks every byte, runs no code from
it, and re-computes the golden samples. `find_model` finds a network by what a user calls it, a bundle among others.
"""

from neocog.bundle.find_model import Found, find_model
from neocog.bundle.load_bundle import load, read_manifest
from neocog.bundle.predictor import Engine, Failure, Prediction, Predictor, torch_engine
from neocog.bundle.seal import read_sealed, write_sealed
from neocog.bundle.write import write_bundle

__all__ = [
    "Engine",
    "Failure",
    "Found",
    "Prediction",
    "Predictor",
    "find_model",
    "load",
    "read_manifest",
    "read_sealed",
    "torch_engine",
    "write_bundle",
    "write_sealed",
]
