"""Networks from their papers, one paper in one file, built by name."""

from neocog.zoo.config import ModelConfig
from neocog.zoo.create import create_model, entry, list_models, replace_head
from neocog.zoo.entry import Entry
from neocog.zoo.network import Network, Normalisation, WithAuxiliary

__all__ = [
    "Entry",
    "ModelConfig",
    "Network",
    "Normalisation",
    "WithAuxiliary",
    "create_model",
    "entry",
    "list_models",
    "replace_head",
]
