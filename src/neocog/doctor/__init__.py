"""The data doctor: it finds faults in a data set before training does.

`check` examines each record once (images, signals, sounds, texts, masks and boxes), then all of them together
(duplicates, classes, names, sizes), and gives a `DataReport` of findings. `kinds` lists everything that can be found.
"""

from neocog.doctor.check import check
from neocog.doctor.findings import DataReport, Example, Finding, printable
from neocog.doctor.kinds import KINDS, Kind
from neocog.doctor.skip_list import check_place, read_skip_list, write_skip_list

__all__ = [
    "KINDS",
    "DataReport",
    "Example",
    "Finding",
    "Kind",
    "check",
    "check_place",
    "printable",
    "read_skip_list",
    "write_skip_list",
]
