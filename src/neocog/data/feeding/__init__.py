"""Feeding: decoded records, in memory or streamed, as batches for training."""

from neocog.data.feeding.loader import Loader
from neocog.data.feeding.resident import Resident, check_decodes, load_resident

__all__ = ["Loader", "Resident", "check_decodes", "load_resident"]
