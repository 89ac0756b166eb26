"""One offline HTML file that tells what a run did: figures, curves, errors, filters, settings and versions."""

from neocog.report.html import Curves, Report, write_report
from neocog.report.network_comparison import Compared, compare_networks
from neocog.report.plots import save_figure

__all__ = ["Compared", "Curves", "Report", "compare_networks", "save_figure", "write_report"]
