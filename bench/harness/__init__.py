"""The harness of the side-by-side bench: rows, turns, intervals, and what is written of them.

row          what a row compares
turns        sides take turns; medians, their intervals, and ratios
measure      a row is measured, in a process of its own
supervise    that process is started within a time limit, and ended with all that it started
machine      what the figures were measured on, and what else ran there
results      the JSON of a row, and who wins in it
table        Markdown
drawing      the plot of the ratios
operators    what torchvision needs in order to be imported
"""

from harness.row import Row, Sides, per_second, seconds_of
from harness.turns import Figures, take_turns

__all__ = ["Figures", "Row", "Sides", "per_second", "seconds_of", "take_turns"]
