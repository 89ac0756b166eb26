"""The data doctor: what is wrong with a data set, found before training meets it.

`check` examines each record once (pictures, signals, sounds, texts, masks and boxes), then all of them together
(duplicates, classes, names, sizes), and gives a `DataReport` of findings. All that can be found stands in `kinds`.
"""

from neocog.data.doctor.check import check
from neocog.data.doctor.finding import Example, Finding
from neocog.data.doctor.kinds import KINDS, Kind
from neocog.data.doctor.printable import printable
from neocog.data.doctor.report import DataReport
from neocog.data.doctor.skip_list import check_place, read_skip_list, write_skip_list

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
