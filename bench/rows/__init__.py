"""All rows of the bench, in the order of the table."""

from harness import Row
from rows import explaining, planning, serving

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (*planning.ROWS, *explaining.ROWS, *serving.ROWS)
