"""Weights from elsewhere: published files, fetched on request and checked, and what others call their tensors."""

from neocog.zoo.weights.available import available, none_available
from neocog.zoo.weights.key_map import KeyMap, translate
from neocog.zoo.weights.other_kinds import is_bundle, other_kind
from neocog.zoo.weights.own import load_own
from neocog.zoo.weights.pretrained import load_pretrained
from neocog.zoo.weights.read import read_weights

__all__ = [
    "KeyMap",
    "available",
    "is_bundle",
    "load_own",
    "load_pretrained",
    "none_available",
    "other_kind",
    "read_weights",
    "translate",
]
