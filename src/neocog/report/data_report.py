"""The data doctor's page: its findings, with the records to look at, as one file that needs nothing else."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from neocog.dataset.record import Source
from neocog.doctor import DataReport, Example, printable
from neocog.files import write_whole
from neocog.modalities.draw import Drawing
from neocog.modalities.table import MODALITIES

__all__ = ["write_data_report"]

MOST_CLASSES = 200
TITLES = {"error": "Errors", "warning": "Warnings", "note": "Notes"}


def write_data_report(path: Path, report: DataReport) -> None:
    """Write the page, whole or not at all; the records that it shows are read again."""
    environment = Environment(
        loader=PackageLoader("neocog.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    groups = [(title, [f for f in report.findings if f.severity == severity]) for severity, title in TITLES.items()]
    drawings = {example: draw_example(report.source, example) for f in report.findings for example in f.examples}
    page = environment.get_template("data.html.j2").render(
        report=report,
        groups=[(title, found) for title, found in groups if found],
        drawings=drawings,
        drawn={f.kind for f in report.findings if any(drawing for e in f.examples for _, drawing in drawings[e])},
        shown_classes=list(enumerate(report.classes))[:MOST_CLASSES],
        largest=max((max(counts, default=0) for counts in report.counts.values()), default=0),
    )
    write_whole(path, page)


def draw_example(source: Source | None, example: Example) -> list[tuple[str, Drawing]]:
    """The records of an example by key, as they can be drawn."""
    return [draw_record(source, index) for index in example.records] if source is not None else []


def draw_record(source: Source, index: int) -> tuple[str, Drawing]:
    key = source.key(index)
    try:
        return key, MODALITIES[source.modality].draw(source.read(index).payload, None, key)
    except Exception:  # damaged records are what this page is about; they are listed without a drawing
        return key, Drawing()
