"""Shards: many records in few files, tar or Parquet, with an index by which any record is reached by one read.

Foreign shards are indexed once, in the user's cache. `neocog.data.pack` writes shards with their index beside
them; it stands apart from what is exported here because it opens sources of every layout, of which shards are one.
"""

from neocog.shards.names import is_address
from neocog.shards.open import holds_shards, open_shards, why_no_shards
from neocog.shards.source import ShardSource
from neocog.shards.verify import verify

__all__ = ["ShardSource", "holds_shards", "is_address", "open_shards", "verify", "why_no_shards"]
