"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import engines, explaining, exporting, planning, serving

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (*planning.ROWS, *explaining.ROWS, *engines.ROWS, *exporting.ROWS, *serving.ROWS)
