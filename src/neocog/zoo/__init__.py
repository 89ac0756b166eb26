"""Networks from their papers, one paper in one file, built by name."""

from neocog.zoo.catalog import Entry, create_model, entry, list_models
from neocog.zoo.config import ModelConfig

__all__ = ["Entry", "ModelConfig", "create_model", "entry", "list_models"]
