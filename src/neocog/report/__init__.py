"""One offline HTML file that tells what a run did: figures, curves, errors, filters, settings and versions."""

from neocog.report.html import Curves, Report, write_report

__all__ = ["Curves", "Report", "write_report"]
