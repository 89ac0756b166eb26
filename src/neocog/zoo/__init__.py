"""Networks from their papers, one paper in one file, built by name."""

from typing import TYPE_CHECKING

from neocog.lazy import loads
from neocog.zoo.create import create_model, list_models, model_info, replace_head
from neocog.zoo.info import ModelInfo
from neocog.zoo.network import Network, Normalisation, WithAuxiliary

if TYPE_CHECKING:
    from neocog.zoo.config import ModelConfig

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

__getattr__ = loads(__name__, {"ModelConfig": "config"})  # the validation of settings takes long to import
