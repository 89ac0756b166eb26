"""Shards: many records in few files, tar or Parquet, with an index by which any record takes one read.

Foreign shards are indexed once, in the user's cache. `neocog.data.pack` writes shards with their index beside them; it
is not exported here because it opens sources of every layout.
"""

from neocog.shards.names import is_address
from neocog.shards.open import holds_shards, open_shards, verify, why_no_shards
from neocog.shards.source import ShardSource

__all__ = ["ShardSource", "holds_shards", "is_address", "open_shards", "verify", "why_no_shards"]
