"""Weights from elsewhere: published files, fetched on request and checked, and what others call their tensors."""

from neocog.zoo.weights.key_map import KeyMap, translate
from neocog.zoo.weights.pretrained import load_pretrained
from neocog.zoo.weights.read import read_weights

__all__ = ["KeyMap", "load_pretrained", "read_weights", "translate"]
