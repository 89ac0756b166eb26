"""The harness of the side-by-side bench: rows, turns, intervals, and what is written of them.

row          what a row compares
turns        sides take turns; medians, their intervals, and ratios
machine      what the figures were measured on
table        Markdown
drawing      the plot of the ratios
"""

from harness.row import Row, Sides, per_second, seconds_of
from harness.turns import Figures, take_turns

__all__ = ["Figures", "Row", "Sides", "per_second", "seconds_of", "take_turns"]
