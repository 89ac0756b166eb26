"""Loading: decoded samples, in memory or streamed, as batches for training."""

from neocog.loading.choose import LoadingMode, choose_loading, open_dataset
from neocog.loading.dataset import Corrupt, Dataset
from neocog.loading.in_memory import InMemoryDataset, check_decodes, load_in_memory
from neocog.loading.loader import Loader
from neocog.loading.payload_cache import keep_payloads
from neocog.loading.sampler import (
    BlockRandomSampler,
    ClassBalancedSampler,
    RandomSampler,
    RepeatedAugmentationSampler,
    Sampler,
    choose_sampler,
)
from neocog.loading.streaming import StreamingDataset

__all__ = [
    "BlockRandomSampler",
    "ClassBalancedSampler",
    "Corrupt",
    "Dataset",
    "InMemoryDataset",
    "Loader",
    "LoadingMode",
    "RandomSampler",
    "RepeatedAugmentationSampler",
    "Sampler",
    "StreamingDataset",
    "check_decodes",
    "choose_loading",
    "choose_sampler",
    "keep_payloads",
    "load_in_memory",
    "open_dataset",
]
