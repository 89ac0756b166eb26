"""The .ts files of the UEA archive: a header of @ lines, then a series on each line.

The dimensions of a series are separated by colons, its values by commas; a missing value is `?`; behind the last colon
stands the label. Source: the format's description in the aeon toolkit, "The .ts file format".
"""

import codecs
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.files import plain_files
from neocog.dataset.labels import number_texts
from neocog.errors import DataError, some
from neocog.modalities.signal.source import Signal, SignalSource
from neocog.modalities.signal.ucr import numbered_lines, numbers

__all__ = ["is_ts", "open_ts", "read_ts"]

NAME = re.compile(r"(?P<name>.+)_(?P<split>TRAIN|TEST)\.ts$", re.IGNORECASE)
LOOK = 2**16  # bytes in which the first tag must stand; long descriptions go before it
TAGS = frozenset(
    "@" + name
    for name in (
        "problemname", "timestamps", "missing", "univariate", "dimension", "dimensions", "equallength", "serieslength",
        "classlabel", "targetlabel", "data",
    )
)  # fmt: skip


@dataclass(slots=True)
class Header:
    """What a file says of its series; what it does not say is None."""

    tags: dict[str, list[str]] = field(default_factory=dict)

    def number(self, *names: str) -> int | None:
        value = next((self.tags[name][0] for name in names if self.tags.get(name)), "")
        return int(value) if value.isdecimal() and len(value) < 10 else None

    def says(self, name: str) -> bool:
        return self.tags.get(name, [""])[:1] in (["true"], ["True"], ["TRUE"])


def is_ts(path: Path) -> bool:
    """Whether this is such a file, or a folder that has one; other files are named .ts too."""
    return any(starts_with_tag(file) for files in find_ts(path).values() for file in files.values())


def open_ts(path: Path) -> SignalSource:
    """The source of one file, or of NAME_TRAIN.ts and NAME_TEST.ts in a folder.

    Raises DataError for a file without labels, with timestamps, or that does not hold what its header says.
    """
    found = {name: files for name, files in find_ts(path).items() if any(map(starts_with_tag, files.values()))}
    if len(found) != 1:
        raise DataError(
            f"A folder holds one data set as .ts files. {path} has {some(found, 5) or 'none'}. "
            "Give each set a folder of its own."
        )
    ((name, files),) = found.items()
    if "all" in files and len(files) > 1:
        raise DataError(f"{path} can be read in two ways: as {name}.ts, or by split. Remove one of them.")
    if list(files) == ["test"]:
        raise DataError(f"Training needs a training split. {path} has {name}_TEST.ts, not {name}_TRAIN.ts.")
    read = {split: read_ts(files[split]) for split in ("all", "train", "test") if split in files}
    classes, targets = number_texts({split: labels for split, (_, _, labels) in read.items()})
    parts: dict[str, tuple[list[Signal], NDArray[np.int64]]] = {
        split: ([*series], targets[split]) for split, (_, series, _) in read.items()
    }
    occurring = {label for _, _, labels in read.values() for label in labels}
    for split, (words, _, labels) in read.items():
        check_labels(words, set(labels), files[split])
    spare = {word for words, _, _ in read.values() for word in without_names(words, occurring)[0]}
    absent = f"classes that a header names and no series has: {some(map(repr, sorted(spare)))}"
    return SignalSource(name, parts, classes, notices=(absent,) if spare else (), format="ts")


def check_labels(words: Sequence[str], labels: Collection[str], path: Path) -> None:
    """Raises DataError if labels are not the names that a header's words make."""
    strange = without_names(words, labels)[1] if words else ()
    if strange:
        raise DataError(
            "A label is one of the class names that the header gives. Received: "
            f"{some(map(repr, strange))} besides others, of the words {some(words, 10)}, in {path}. Correct the header."
        )


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
    found: dict[str, dict[str, Path]] = {}
    for file in plain_files(path) if path.is_dir() else []:
        match = NAME.match(file.name)
        if match:
            found.setdefault(match["name"], {})[match["split"].lower()] = file
        elif file.suffix.lower() == ".ts":
            found.setdefault(file.stem, {})["all"] = file
    return found


def starts_with_tag(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            lines = file.read(LOOK).removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError:
        return False
    first = next((line.split() for line in lines if line.strip() and not line.lstrip().startswith(b"#")), [b""])
    return first[0].decode(errors="replace").lower() in TAGS


def read_ts(path: Path) -> tuple[list[str], list[NDArray[np.float32]], list[str]]:
    """The words of the header's class names, the series (C, L), and the labels as they are written."""
    series: list[NDArray[np.float32]] = []
    labels: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            stripped = ((number, line.strip()) for number, line in numbered_lines(file, path))
            lines = ((number, line) for number, line in stripped if not line.startswith("#"))
            header = read_header(path, lines)
            for number, line in lines:
                values, label = read_series(line, header, f"{path}, line {number}")
                series.append(values)
                labels.append(label)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error
    return header.tags["@classlabel"][1:], series, labels


def read_header(path: Path, lines: Iterator[tuple[int, str]]) -> Header:
    """The tags up to @data. Raises DataError for data that is not classified by one label."""
    header = Header()
    for number, line in lines:
        tag, *values = line.split()
        if tag.lower() == "@data":
            break
        if not tag.startswith("@"):
            raise DataError(
                f"A .ts file has its series behind a line @data. Received: {line[:40]!r}, in {path}, line {number}."
            )
        header.tags[tag.lower()] = values
    else:
        raise DataError(
            f"A .ts file has its series behind a line @data. {path} has no such line: it is cut off, or no .ts file."
        )
    if header.says("@timestamps"):
        raise timestamps(str(path))
    if not header.says("@classlabel"):
        raise DataError(
            f"Series are classified by a label: the header says @classLabel true and names them. {path} does not; "
            "without labels, or with numbers to predict, it can't be learned here."
        )
    return header


def read_series(line: str, header: Header, where: str) -> tuple[NDArray[np.float32], str]:
    """One line as (C, L) and its label."""
    if line.startswith("("):
        raise timestamps(where)
    *texts, label = (part.strip() for part in line.split(":"))
    known = header.tags["@classlabel"][1:]
    if not texts or not label or (known and not names_class(known, label.split())):
        raise DataError(
            f"A line ends with a colon and its label, one of those that the header names ({some(known, 5) or 'none'}). "
            f"Received: {label[-40:]!r}, in {where}."
        )
    rows = [numbers(["nan" if value.strip() == "?" else value for value in text.split(",")], where) for text in texts]
    expected = 1 if header.says("@univariate") else header.number("@dimensions", "@dimension")
    if expected is not None and len(rows) != expected:
        raise DataError(
            f"A series has as many dimensions as the header says, {expected}. Received: {len(rows)}, in {where}."
        )
    lengths = {len(row) for row in rows}
    length = header.number("@serieslength") if header.says("@equallength") else None
    if len(lengths) > 1 or (length is not None and lengths != {length}):
        raise DataError(
            f"All dimensions of a series have one length{f', by the header {length:,}' if length else ''}. Received: "
            f"{some(sorted(lengths), 5)}, in {where}."
        )
    return np.stack(rows), label


def names_class(words: Sequence[str], name: Sequence[str]) -> bool:
    """Whether the words of a name follow each other in a header.

    >>> names_class(["in", "bed", "up"], ["in", "bed"]), names_class(["in", "bed", "up"], ["in", "up"])
    (True, False)
    """
    return any(list(words[start : start + len(name)]) == list(name) for start in range(len(words) - len(name) + 1))


def timestamps(where: str) -> DataError:
    return DataError(
        "Series are read as values at equal steps of time. Received: values with timestamps, in "
        f"{where}. Resample them, and save them without timestamps."
    )
