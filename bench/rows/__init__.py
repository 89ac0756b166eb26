"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import detection, image_training, mnist, planning, tasks, throughput

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (
    *planning.ROWS, *throughput.ROWS, *image_training.ROWS, *mnist.ROWS, *tasks.ROWS, *detection.ROWS,
)  # fmt: skip
