"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import (
    checkpoints,
    decoding,
    doctor,
    forecasts,
    loading,
    loop_cost,
    offline,
    planning,
    scaling,
    shards,
    start,
    streaming,
)

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (
    *start.ROWS,
    *planning.ROWS,
    *forecasts.ROWS,
    *loading.ROWS,
    *decoding.ROWS,
    *streaming.ROWS,
    *shards.ROWS,
    *doctor.ROWS,
    *checkpoints.ROWS,
    *offline.ROWS,
    *loop_cost.ROWS,
    *scaling.ROWS,
)
