"""The .ts files of the UEA archive: a header of @ lines, then a series on each line.

The dimensions of a series are separated by colons, its values by commas; a missing value is `?`; the label follows the
last colon. Source: the format's description in the aeon toolkit, "The .ts file format".
"""

import codecs
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.labels import number_texts
from neocog.dataset.record import unlabelled_samples
from neocog.dataset.targets import OUTPUT, check_task, decide, known_rows
from neocog.errors import DataError, some
from neocog.modalities.signal.source import Signal, SignalSource
from neocog.modalities.signal.ucr import find_sets, numbered_lines, numbers, only_set

__all__ = ["is_ts", "open_ts", "read_ts"]

NAME = re.compile(r"(?P<name>.+?)(_(?P<split>TRAIN|TEST))?\.ts$", re.IGNORECASE)
LOOK = 2**16  # bytes in which the first tag must occur; long descriptions precede it
TAGS = re.compile(
    rb"@(problemname|timestamps|missing|univariate|dimensions?|equallength|serieslength|classlabel|targetlabel|data)",
    re.IGNORECASE,
)


class Header(dict[str, list[str]]):
    """The values of each tag of a file."""

    def number(self, *names: str) -> int | None:
        value = next((self[name][0] for name in names if self.get(name)), "")
        return int(value) if value.isdecimal() and len(value) < 10 else None

    def says(self, name: str) -> bool:
        return self.get(name, [""])[:1] in (["true"], ["True"], ["TRUE"])


def is_ts(path: Path) -> bool:
    """Whether this is such a file, or a folder that has one; other files are named .ts too."""
    return any(starts_with_tag(file) for files in find_ts(path).values() for file in files.values())


def open_ts(path: Path, *, task: str | None = None) -> SignalSource:
    """The source of one file, or of NAME_TRAIN.ts and NAME_TEST.ts in a folder.

    A header with @classLabel tells classes, one with @targetLabel numbers to predict.
    Raises DataError for a file without labels, with timestamps, or that does not hold what its header says.
    """
    found = {name: files for name, files in find_ts(path).items() if any(map(starts_with_tag, files.values()))}
    name, files = only_set(found, path, "as .ts files")
    if "all" in files and len(files) > 1:
        raise DataError(f"{path} can be read in two ways: as {name}.ts, or by split.", fix="Remove one of them.")
    if list(files) == ["test"]:
        received = f"{name}_TEST.ts, not {name}_TRAIN.ts"
        raise DataError("Training needs a training split.", received=received, where=str(path))
    read = {split: read_ts(files[split]) for split in ("all", "train", "test") if split in files}
    if task_of(name, [header for header, _, _ in read.values()], task) == "regression":
        return open_values(name, {split: (series, labels) for split, (_, series, labels) in read.items()})
    classes, targets = number_texts({split: labels for split, (_, _, labels) in read.items()})
    parts: dict[str, tuple[list[Signal], NDArray[np.int64]]] = {
        split: ([*series], targets[split]) for split, (_, series, _) in read.items()
    }
    for split, (header, _, labels) in read.items():
        words = header["@classlabel"][1:]
        if words and (strange := without_names(words, set(labels))[1]):
            received = f"{some(map(repr, strange))} besides others, of the words {some(words, 10)}"
            rule, where = "A label is one of the class names that the header gives.", str(files[split])
            raise DataError(rule, received=received, where=where, fix="Correct the header.")
    occurring = {label for _, _, labels in read.values() for label in labels}
    spare = {word for header, _, _ in read.values() for word in without_names(header["@classlabel"][1:], occurring)[0]}
    absent = f"classes that a header names and no series has: {some(map(repr, sorted(spare)))}"
    return SignalSource(name, parts, classes, notices=(absent,) if spare else (), format="ts")


def task_of(name: str, headers: Sequence["Header"], task: str | None) -> str:
    """The task that the headers tell, or that of the user if labels of classes can be read as numbers."""
    quantities = [header.says("@targetlabel") and not header.says("@classlabel") for header in headers]
    if len(set(quantities)) > 1:
        rule = "The headers of a set say @classLabel true, or @targetLabel true, in all of its files."
        raise DataError(rule, received="one of each", where=name)
    check_task(task, ("regression",) if quantities[0] else ("classification", "regression"), name)
    return "regression" if quantities[0] else task or "classification"


def open_values(name: str, read: Mapping[str, tuple[list[NDArray[np.float32]], list[str]]]) -> SignalSource:
    """Series with a number each; those whose number is not known are left out."""
    parts: dict[str, tuple[list[Signal], NDArray[Any]]] = {}
    notices: list[str] = []
    for split, (series, labels) in read.items():
        targets = decide({OUTPUT: labels}, f"{name}, {split}", "regression").targets
        known = known_rows(targets)
        if not known.all():
            notices.append(unlabelled_samples(split, int((~known).sum())))
        signals: list[Signal] = [one for one, is_known in zip(series, known.tolist(), strict=True) if is_known]
        parts[split] = (signals, targets[known])
    return SignalSource(name, parts, (OUTPUT,), notices=tuple(notices), format="ts", task="regression")


def without_names(words: Sequence[str], names: Collection[str]) -> tuple[list[str], list[str]]:
    """A header's words that are in none of the names, and the names that can't be made of its words.

    A header puts spaces between names, and names may hold spaces: the longest are looked for first.

    >>> without_names(["in", "bed", "up", "away"], ["in bed", "up", "down"])
    (['away'], ['down'])
    """
    rest: list[str | None] = list(words)
    strange = []
    for name in sorted(names, key=lambda name: (-len(name.split()), name)):
        parts: list[str | None] = [*name.split()]
        starts = range(len(rest) - len(parts) + 1)
        start = next((start for start in starts if rest[start : start + len(parts)] == parts), None)
        if start is None:
            strange.append(name)
        else:
            rest[start : start + len(parts)] = [None] * len(parts)
    return [word for word in rest if word is not None], strange


def find_ts(path: Path) -> dict[str, dict[str, Path]]:
    """Name -> split -> file; a file that is opened by its own path is all there is."""
    if path.is_file():
        return {path.stem: {"all": path}} if path.suffix.lower() == ".ts" else {}
    return find_sets(path, NAME) if path.is_dir() else {}


def starts_with_tag(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            lines = file.read(LOOK).removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError:
        return False
    first = next((line.split() for line in lines if line.strip() and not line.lstrip().startswith(b"#")), [b""])
    return bool(TAGS.fullmatch(first[0]))


def read_ts(path: Path) -> tuple[Header, list[NDArray[np.float32]], list[str]]:
    """The header, the series (C, L), and the labels as they are written."""
    stripped = ((number, line.strip()) for number, line in numbered_lines(path))
    lines = ((number, line) for number, line in stripped if not line.startswith("#"))
    header = read_header(path, lines)
    read = [read_series(line, header, f"{path}, line {number}") for number, line in lines]
    return header, [values for values, _ in read], [label for _, label in read]


def read_header(path: Path, lines: Iterator[tuple[int, str]]) -> Header:
    """The tags up to @data. Raises DataError for data without a label or a number for each series."""
    header, rule = Header(), "A .ts file has its series after a line @data."
    for number, line in lines:
        tag, *values = line.split()
        if tag.lower() == "@data":
            break
        if not tag.startswith("@"):
            raise DataError(rule, received=repr(line[:40]), where=f"{path}, line {number}")
        header[tag.lower()] = values
    else:
        raise DataError(f"{rule} {path} has no such line: it is cut off, or not a .ts file.")
    if header.says("@timestamps"):
        raise timestamps(str(path))
    if not header.says("@classlabel") and not header.says("@targetlabel"):
        rule = "The header of a .ts file says @classLabel true, and names the labels, or @targetLabel true."
        raise DataError(rule, where=str(path), received="none", fix="Add the labels, if they are known.")
    return header


def read_series(line: str, header: Header, where: str) -> tuple[NDArray[np.float32], str]:
    """One line as (C, L) and its label."""
    if line.startswith("("):
        raise timestamps(where)
    *texts, label = (part.strip() for part in line.split(":"))
    known = header.get("@classlabel", [])[1:]
    if not texts or not label or (known and without_names(known, [label])[1]):
        rule = (
            f"A line ends with a colon and its label, one of those that the header names ({some(known, 5) or 'none'})."
        )
        raise DataError(rule, received=repr(label[-40:]), where=where)
    rows = [numbers(["nan" if value.strip() == "?" else value for value in text.split(",")], where) for text in texts]
    expected = 1 if header.says("@univariate") else header.number("@dimensions", "@dimension")
    if expected is not None and len(rows) != expected:
        rule = f"A series has as many dimensions as the header says, {expected}."
        raise DataError(rule, received=str(len(rows)), where=where)
    lengths = {len(row) for row in rows}
    length = header.number("@serieslength") if header.says("@equallength") else None
    if len(lengths) > 1 or (length is not None and lengths != {length}):
        rule = f"All dimensions of a series have one length{f', by the header {length:,}' if length else ''}."
        raise DataError(rule, received=some(sorted(lengths), 5), where=where)
    return np.stack(rows), label


def timestamps(where: str) -> DataError:
    rule, fix = "Series are read as values at equal steps of time.", "Resample them, and save them without timestamps."
    return DataError(rule, received="values with timestamps", where=where, fix=fix)
