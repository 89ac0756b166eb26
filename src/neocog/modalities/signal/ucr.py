"""The UCR archive's files: NAME_TRAIN.tsv and NAME_TEST.tsv, a series on each line, its label before it.

Source: Dau et al. 2018, "The UCR time series archive", https://arxiv.org/abs/1810.07758. As there, NaN is a missing
value, and series that are shorter than others are filled up with NaN at their ends. Labels are numbers there, which
published copies write as 1 or as 1.0000000e+00; labels that are written in any other way are names.
"""

import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.files import plain_files
from neocog.dataset.labels import number_texts
from neocog.errors import DataError, some
from neocog.modalities.signal.source import SignalSource

__all__ = ["find_sets", "is_ucr", "numbered_lines", "numbers", "only_set", "open_ucr", "read_ucr"]

NAME = re.compile(r"(?P<name>.+)_(?P<split>TRAIN|TEST)\.tsv$")
NUMBER = re.compile(r"(?!-0(\.0+)?(e|$))-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[+-][0-9]{2,3})?")
"""As programs write numbers: not 007, 1_0, 1E2 or -0."""
MAX_DIGITS = 28  # of a Decimal
LOOK = 4096  # bytes of a first line that are looked at
MAX_LINE = 2**26


def is_ucr(path: Path) -> bool:
    """Whether a folder has a NAME_TRAIN.tsv or NAME_TEST.tsv whose first line continues in numbers."""
    sets = find_sets(path, NAME).values() if path.is_dir() else ()
    return any(starts_with_series(file) for files in sets for file in files.values())


def open_ucr(path: Path) -> SignalSource:
    """The source that a folder's two files make. Raises DataError if one is missing, or a line is damaged."""
    name, files = only_set(find_sets(path, NAME), path, "of the UCR archive")
    if len(files) != 2:
        rule = f"A set of the UCR archive comes as two files, {name}_TRAIN.tsv and {name}_TEST.tsv."
        raise DataError(rule, received=f"{next(iter(files.values())).name}, not its partner", where=str(path))
    read = {split: read_ucr(files[split]) for split in ("train", "test")}
    names, notices = name_classes({label for _, labels in read.values() for label in labels})
    classes, numbers = number_texts({split: [names[label] for label in labels] for split, (_, labels) in read.items()})
    parts = {split: (series, numbers[split]) for split, (series, _) in read.items()}
    return SignalSource(name, parts, classes, notices=notices, format="ucr")


def name_classes(labels: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The class that each label means, and a notice on labels that are written in several ways.

    >>> name_classes(["1.0000000e+00", "2", "1"])[0]
    {'1.0000000e+00': '1', '2': '2', '1': '1'}
    >>> name_classes(["1.0", "2.50", "1.2e+02", "0.0"])[0].values()
    dict_values(['1', '2.5', '120', '0'])
    >>> name_classes(["007", "7"])
    ({'007': '007', '7': '7'}, ())
    """
    if not all(NUMBER.fullmatch(label) and len(label) < MAX_DIGITS for label in labels):
        return {label: label for label in labels}, ()
    names = {label: format(Decimal(label).normalize(), "f") for label in labels}
    written: dict[str, list[str]] = {}
    for label in sorted(labels):
        written.setdefault(names[label], []).append(label)
    changed = [f"{' and '.join(forms)} as {name}" for name, forms in written.items() if forms != [name]]
    return names, (f"labels are numbers, which are read as such: {some(changed)}",) if changed else ()


def find_sets(folder: Path, pattern: re.Pattern[str]) -> dict[str, dict[str, Path]]:
    """Name -> split -> file, for the files of a folder whose names match; without a split in its name, "all"."""
    found: dict[str, dict[str, Path]] = {}
    for path in plain_files(folder):
        if match := pattern.match(path.name):
            found.setdefault(match["name"], {})[(match["split"] or "all").lower()] = path
    return found


def only_set(found: Mapping[str, dict[str, Path]], path: Path, what: str) -> tuple[str, dict[str, Path]]:
    """The name and the files of the one data set of a folder. Raises DataError if there are several, or none."""
    if len(found) != 1:
        rule, fix = f"A folder holds one data set {what}.", "Give each set a folder of its own."
        raise DataError(rule, received=some(found, 5) or "none", where=str(path), fix=fix)
    return next(iter(found.items()))


def starts_with_series(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(LOOK)
        fields = head.split(b"\n")[0].split(b"\t")
        values = fields[1:-1] if len(head) == LOOK and b"\n" not in head else fields[1:]
        return bool(values) and all(float(value) is not None for value in values)
    except (OSError, ValueError):
        return False


def read_ucr(path: Path) -> tuple[list[NDArray[np.float32]], list[str]]:
    """The series (1, L), without the NaN at their ends, and the labels as they are written."""
    series: list[NDArray[np.float32]] = []
    labels: list[str] = []
    width = 0
    for number, line in numbered_lines(path):
        label, *fields = line.rstrip("\r\n").split("\t")
        where = f"{path}, line {number}"
        width = width or len(fields)
        if not label.strip() or not fields or len(fields) != width:
            rule = "A line has a label and as many values as the first, separated by tabs."
            received = f"{label.strip()[:20]!r} and {len(fields):,} values instead of {width:,}"
            raise DataError(rule, received=received, where=where)
        values = numbers(fields, where)
        there = np.flatnonzero(~np.isnan(values))
        series.append(values[None, : there[-1] + 1 if there.size else 1])  # one sample at least
        labels.append(label.strip())
    return series, labels


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The numbers of the lines that are not empty, and these lines.

    Raises DataError for a line that is longer than any series, or if the file can't be read.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for number in itertools.count(1):
                line = file.readline(MAX_LINE + 1)
                if len(line) > MAX_LINE:
                    rule = f"A series is a line of at most {MAX_LINE:,} characters."
                    raise DataError(rule, received="more", where=f"{path}, line {number}")
                if not line:
                    return
                if line.strip():
                    yield number, line
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error


def numbers(fields: list[str], where: str) -> NDArray[np.float32]:
    """Texts as numbers; (L,)."""
    try:
        # Values too large for float32 become infinite, and are refused when they are decoded.
        with np.errstate(over="ignore"):
            return np.array(fields, np.float64).astype(np.float32)
    except ValueError as error:
        rule = "Values must be numbers, or NaN if one is missing."
        raise DataError(rule, received=str(error), where=where) from error
