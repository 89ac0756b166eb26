"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import checkpoints, decoding, doctor, loading, offline, planning, scaling, shards, streaming

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (
    *planning.ROWS,
    *loading.ROWS,
    *decoding.ROWS,
    *streaming.ROWS,
    *shards.ROWS,
    *doctor.ROWS,
    *checkpoints.ROWS,
    *offline.ROWS,
    *scaling.ROWS,
)
