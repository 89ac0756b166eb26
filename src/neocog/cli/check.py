"""`neocog check`: the data doctor."""

import json as jsonlib
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neocog.cli.flags import FORMAT, MAX_PIXELS, PLAIN, Download, Reading, Switch
from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.data.known import find_data
from neocog.dataset.record import count_outputs, count_samples
from neocog.doctor import DataReport, Example, check_place, printable, write_skip_list
from neocog.doctor import check as examine
from neocog.errors import ConfigError, agree, some
from neocog.progress import note
from neocog.shards import is_address

DEFAULT_SKIP_LIST = Path("neocog-skip.txt")
MOST_CLASSES = 50
SHOWN = 3  # examples per finding
WIDTH = 110  # if the output is not a terminal


def check(
    data: str,
    *,
    format: Annotated[str | None, FORMAT] = None,
    limit: int | None = None,
    json: Switch = False,
    html: Path | None = None,
    skip_list: Path | None = None,
    no_skip_list: Annotated[bool, Parameter(name="--no-skip-list", negative="", show_default=False)] = False,
    max_pixels: Annotated[int, MAX_PIXELS] = 40_000_000,
    reading: Reading = PLAIN,
    download: Download = False,
) -> int:
    """Examine a data set without changing it.

    neocog check images/
    neocog check mnist --json
    neocog check images/ --html findings.html

    Decodes every sample as in training and reports unreadable files, duplicates
    within and across splits, contradictory labels, missing or tiny classes, silent
    audio, empty texts, boxes outside the image, and more. Samples to leave out are
    written to neocog-skip.txt, for `neocog train DATA --data.skip_list FILE`.
    Exits with code 1 if a finding would stop training or spoil its figures.
    In Python: neocog.doctor.check.

    Parameters
    ----------
    data
        A data set, by name or path, as for `neocog train`. It is only read.
    format
        The layout, if the data can be read in two ways; --data.format in training.
    limit
        Examine N samples, evenly spread over the data set; by default all.
    json
        Print everything as JSON.
    html
        Write a page that shows the findings with their images; by default none is written.
    skip_list
        Where to write the names of samples to leave out [neocog-skip.txt, if there are any].
    no_skip_list
        Do not write a skip list.
    max_pixels
        Report an image with more pixels as an error, without decoding it; --image.max_pixels in training.
    """
    if skip_list is not None and no_skip_list:
        raise ConfigError(
            "A skip list is written or not.", received="--skip-list and --no-skip-list", fix="Choose one."
        )
    if max_pixels < 4:
        raise ConfigError("--max-pixels must be at least 4.", received=str(max_pixels))
    path = None if is_address(data) else find_data(data, download=download)
    if html is not None:
        check_page(html, path)
    if skip_list is not None:
        check_place(skip_list, path)
    report = examine(data, format=format, limit=limit, max_pixels=max_pixels, **reading.options())
    if json:
        write_out(jsonlib.dumps(report.to_json(), indent=1))
    else:
        show(report)
    if html is not None:
        from neocog.report.data_report import write_data_report

        write_data_report(html, report)
        note(f"page       {html}")
    if not no_skip_list:
        leave_skip_list(report, skip_list, path)
    return 1 if report.errors else 0


def check_page(page: Path, data: Path | None) -> None:
    """Raises ConfigError for a page that is not an HTML file, or would be inside the data folder."""
    if page.suffix.lower() not in (".html", ".htm") or page.is_dir():
        raise ConfigError("The page is an HTML file.", received=str(page), fix="Give it a name that ends in .html.")
    if data is not None and data.is_dir() and page.resolve().is_relative_to(data.resolve()):
        raise ConfigError(
            "Nothing is written into the data folder.", received=f"{page}, inside {data}", fix="Choose another folder."
        )


def leave_skip_list(report: DataReport, asked: Path | None, data: Path | None) -> None:
    """Write the list where the user wants it, or in this folder if there is anything to skip."""
    if asked is None and not report.skip:
        return
    place = asked or DEFAULT_SKIP_LIST
    if asked is None:
        try:
            check_place(place, data)
        except ConfigError as error:
            note(f"No skip list was written. {error}")
            return
    write_skip_list(place, report.skip, name=report.name, fingerprint=report.fingerprint)
    note(f"skip list  {place}: {agree('{n} sample(|s)', len(report.skip))} to leave out")


def show(report: DataReport) -> None:
    """Print the layout, the counts, and the findings, worst first."""
    write_out("\n".join(headlines(report)))
    if report.counts:
        write_out("\n" + table(count_rows(report)))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
    for finding in report.findings:
        lines = textwrap.wrap(f"{finding.severity:<8} {sentence(finding.sentence)}", width, subsequent_indent=" " * 9)
        shown = [shown_example(example) for example in finding.examples[:SHOWN] if example.key]
        for example in shown:
            lines += textwrap.wrap(example, width, initial_indent=" " * 11, subsequent_indent=" " * 13)
        rest = finding.count - len(shown)
        if shown and rest > 0 and len(finding.examples) > SHOWN:
            lines.append(f"{'':11}and {rest:,} more")
        lines += textwrap.wrap(finding.remedy, width, initial_indent="         -> ", subsequent_indent=" " * 12)
        write_out("\n" + "\n".join(lines))
    write_out("\n" + verdict(report))


def headlines(report: DataReport) -> list[str]:
    if not report.source:
        return [f"{printable(report.name)}: could not be opened"]
    counts = ", ".join(count_samples(split, count) for split, count in report.splits.items())
    classes = count_outputs(report.source)
    names = some([printable(name) for name in report.classes])
    layout = f"{report.format}, {report.what}" if report.what else report.format
    lines = [f"{printable(report.name)}: {counts}; {classes}{f': {names}' if names else ''}"]
    lines.append(f"read as {layout}; another layout: --format here, --data.format in training")
    if report.examined < report.records:
        lines.append(f"examined: {report.examined:,} of {report.records:,} samples, evenly spread")
    return lines + [f"its reader says: {printable(notice)}" for notice in report.notices]


def count_rows(report: DataReport) -> list[tuple[str, ...]]:
    """Samples by class and split, in the order of the classes; the last row sums up those beyond the first fifty."""
    splits = list(report.counts)
    rows = [({"regression": "known values", "multi-label": "label"}.get(report.task, "class"), *splits)]
    for k, name in enumerate(report.classes[:MOST_CLASSES]):
        rows.append((printable(name), *(f"{report.counts[split][k]:,}" for split in splits)))
    rest = len(report.classes) - MOST_CLASSES
    if rest > 0:
        rows.append((f"{rest} more", *(f"{sum(report.counts[split][MOST_CLASSES:]):,}" for split in splits)))
    return rows


def shown_example(example: Example) -> str:
    detail = printable(example.detail)
    return f"{printable(example.key)}{f': {detail}' if detail else ''}"


def sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def verdict(report: DataReport) -> str:
    """The result in one line.

    >>> verdict(DataReport(data="d", name="d"))
    'No problems found.'
    """
    if not report.findings:
        return "No problems found."
    severities = [finding.severity for finding in report.findings]
    counts = {severity: severities.count(severity) for severity in dict.fromkeys(severities)}
    return "Found: " + ", ".join(f"{n} {kind}{'' if n == 1 else 's'}" for kind, n in counts.items()) + "."
