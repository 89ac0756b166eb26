"""Reports: the page of a run, that of the data doctor, and their plots; each page is one file that works offline."""

from neocog.report.html import Curves, Report, write_report
from neocog.report.network_comparison import Compared, compare_networks
from neocog.report.plots import save_figure
from neocog.report.search import Search, Tried

__all__ = [
    "Compared", "Curves", "Report", "Search", "Tried", "compare_networks", "save_figure", "write_report",
]  # fmt: skip
