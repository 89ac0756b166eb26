"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import (
    detection,
    forecasts,
    image_training,
    loop_cost,
    mnist,
    own_images,
    planning,
    signals,
    start,
    tasks,
    throughput,
    transfer,
)

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (
    *start.ROWS,
    *planning.ROWS,
    *forecasts.ROWS,
    *loop_cost.ROWS,
    *throughput.ROWS,
    *image_training.ROWS,
    *mnist.ROWS,
    *own_images.ROWS,
    *tasks.ROWS,
    *detection.ROWS,
    *transfer.ROWS,
    *signals.ROWS,
)
