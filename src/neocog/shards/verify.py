"""Whether a packed set is still what was packed, byte for byte."""

from pathlib import Path

from neocog.errors import DataError, some
from neocog.files import file_hash
from neocog.progress import track
from neocog.shards.open import open_shards

__all__ = ["verify"]


def verify(folder: Path | str) -> int:
    """Read every shard of a packed set and compare its SHA-256; gives the number of records.

    Raises DataError that names all shards that differ, or where the set brings no hashes.
    """
    source = open_shards(folder)
    shards = source.header.shards
    if not source.header.packed:
        raise DataError(f"Only a set made by `neocog pack` brings hashes to compare. {folder} does not. Pack it.")
    root = Path(folder)
    damaged = [shard.name for shard in track(shards, "verifying") if file_hash(root / shard.name) != shard.sha256]
    if damaged:
        raise DataError(
            f"{len(damaged)} of {len(shards)} shards of {folder} are damaged: {some(damaged, 10)}. Their SHA-256 is "
            "not the one that was noted. Fetch them again, or pack the set again."
        )
    return len(source)
