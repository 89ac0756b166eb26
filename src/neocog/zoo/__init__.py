"""Networks from their papers, one paper in one file, built by name."""

from neocog.zoo.config import ModelConfig
from neocog.zoo.create import create_model, list_models, model_info, replace_head
from neocog.zoo.info import ModelInfo
from neocog.zoo.network import Network, Normalisation, WithAuxiliary

__all__ = [
    "ModelConfig",
    "ModelInfo",
    "Network",
    "Normalisation",
    "WithAuxiliary",
    "create_model",
    "list_models",
    "model_info",
    "replace_head",
]
