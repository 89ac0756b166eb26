"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import (
    checkpoints,
    decoding,
    doctor,
    engines,
    explaining,
    exporting,
    forecasts,
    loading,
    loop_cost,
    offline,
    planning,
    scaling,
    serving,
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
    *scaling.ROWS,
    *loop_cost.ROWS,
    *explaining.ROWS,
    *engines.ROWS,
    *exporting.ROWS,
    *serving.ROWS,
)
