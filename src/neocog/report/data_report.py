"""The data doctor's page: what was found, with the records to look at, as one file that needs nothing else."""

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


Look = tuple[str, Drawing]
"""The key of a record, and what there is to see of it."""


def write_data_report(path: Path, report: DataReport) -> None:
    """Write the page, whole or not at all; the records that it shows are read once more."""
    environment = Environment(
        loader=PackageLoader("neocog.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    groups = [(title, [f for f in report.findings if f.severity == severity]) for severity, title in TITLES.items()]
    looks = {example: looks_at(report.source, example) for f in report.findings for example in f.examples}
    page = environment.get_template("data.html.j2").render(
        report=report,
        groups=[(title, found) for title, found in groups if found],
        looks=looks,
        pictured={
            f.kind for f in report.findings if any(look != Drawing() for e in f.examples for _, look in looks[e])
        },
        shown_classes=list(enumerate(report.classes))[:MOST_CLASSES],
        largest=max((max(counts, default=0) for counts in report.counts.values()), default=0),
    )
    write_whole(path, page)


def looks_at(source: Source | None, example: Example) -> list[Look]:
    """The records of an example, as they can be shown."""
    return [look(source, index) for index in example.records] if source is not None else []


def look(source: Source, index: int) -> Look:
    key = source.key(index)
    try:
        payload = source.read(index).payload
        return key, MODALITIES[source.modality].preview(payload, key)
    except Exception:  # damaged records are what this page is about; they are listed without a picture
        return key, Drawing()
