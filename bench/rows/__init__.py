"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import forecasts, loop_cost, planning, start

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (
    *start.ROWS,
    *planning.ROWS,
    *forecasts.ROWS,
    *loop_cost.ROWS,
)
