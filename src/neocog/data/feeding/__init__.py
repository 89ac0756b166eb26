"""Feeding: decoded records, in memory or streamed, as batches for training."""

from neocog.data.feeding.choose import Feeding, choose_feeding, open_feed
from neocog.data.feeding.feed import Corrupt, Feed
from neocog.data.feeding.loader import Loader
from neocog.data.feeding.order import Balanced, BlockShuffled, Order, Repeated, Shuffled
from neocog.data.feeding.resident import Resident, check_decodes, load_resident
from neocog.data.feeding.streamed import Streamed

__all__ = [
    "Balanced",
    "BlockShuffled",
    "Corrupt",
    "Feed",
    "Feeding",
    "Loader",
    "Order",
    "Repeated",
    "Resident",
    "Shuffled",
    "Streamed",
    "check_decodes",
    "choose_feeding",
    "load_resident",
    "open_feed",
]
