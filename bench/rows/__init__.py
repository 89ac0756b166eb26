"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import engines, explaining, exporting, forecasts, loop_cost, planning, serving, start

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (
    *start.ROWS,
    *planning.ROWS,
    *forecasts.ROWS,
    *loop_cost.ROWS,
    *explaining.ROWS,
    *engines.ROWS,
    *exporting.ROWS,
    *serving.ROWS,
)
