"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import engines, explaining, planning, serving

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (*planning.ROWS, *explaining.ROWS, *engines.ROWS, *serving.ROWS)
