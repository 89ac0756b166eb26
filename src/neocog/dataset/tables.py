"""Tables in text files: the rows of CSV, TSV and JSONL; every way in which such a file can be wrong is named.

A CSV or TSV file quotes its fields as spreadsheets do (RFC 4180); its values are text, as they are written. How it is
separated and encoded, and whether it has a header, is detected from its start (`dialect`). A JSONL file has one
JSON object on each line; its values are what JSON says. Text is UTF-8, or UTF-16 with a byte order mark.
"""

import csv
import io
import json
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from neocog.dataset.dialect import DELIMITERS, SEPARATORS, WHOLE, Dialect, find_dialect
from neocog.dataset.files import hidden, suffix_of
from neocog.errors import DataError, some

__all__ = [
    "MAX_ROW", "SUFFIXES", "Row", "first_row", "is_table", "read_columns", "read_rows", "table_notices", "tables_in",
]  # fmt: skip

SUFFIXES = (*DELIMITERS, ".jsonl")
MAX_ROW = 2**24
"""Bytes of a row; a larger one is refused before it is read whole. A CSV field is limited to 131,072 characters by
Python's csv module."""
INDEX = "Unnamed: 0"
"""The name that pandas gives a first column without one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line on which it starts, counted from 1, and its values by column."""

    line: int
    values: dict[str, Any]


def is_table(path: Path) -> bool:
    """Whether this is a file that is named as a table."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def tables_in(folder: Path) -> list[Path]:
    """The tables directly in a folder, sorted."""
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if suffix_of(e.name) in SUFFIXES and not hidden(e.name))
    return [folder / name for name in names if (folder / name).is_file()]


def read_columns(path: Path) -> tuple[str, ...]:
    """The names of the columns: the header, or the keys of the first JSON object. Raises DataError as `read_rows`."""
    with closing(entries(path)) as rows:
        return tuple(next(rows).values)


def read_rows(path: Path) -> Generator[Row, None, None]:
    """All rows of a table, which all have the same columns.

    Raises DataError, with the file and the line, for text that is not UTF-8, a missing header or no rows, a row with
    more or fewer values than the header, invalid JSON, and a row above `MAX_ROW`.
    """
    with closing(entries(path)) as rows:
        next(rows)  # the header
        first = next(rows, None)
        if first:
            yield first
            yield from rows
    if not first:
        raise DataError("A table needs rows below its header.", received="none", where=str(path), fix="Add them.")


def first_row(path: Path) -> Row:
    """The first row below the header. Raises DataError as `read_rows`."""
    with closing(read_rows(path)) as rows:
        return next(rows)


def table_notices(paths: Iterable[Path]) -> tuple[str, ...]:
    """How tables differ from plain ones (UTF-8, a header, commas in .csv, tabs in .tsv): a sentence for each way.

    Raises DataError as `read_rows`.
    """
    found: dict[str, list[str]] = {}
    for path in paths:
        differences = find_dialect(path).differences
        if differences:
            found.setdefault("; ".join(differences), []).append(path.name)
    many = {how: f"each of {len(names):,} tables ({some(names, 2)})" for how, names in found.items() if len(names) > 1}
    return tuple(f"{many.get(how, names[0])} {how}" for how, names in found.items())


def entries(path: Path) -> Generator[Row, None, None]:
    """The header as a row, then the rows."""
    dialect = find_dialect(path)
    try:
        with path.open("rb") as file:
            lines = Lines(file, path, dialect)
            yield from csv_rows(lines, dialect) if dialect.delimiter else json_rows(lines)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error


class Lines:
    """The lines of a file as text, each no longer than the rest of its row may be."""

    def __init__(self, file: IO[bytes], path: Path, dialect: Dialect) -> None:
        self.path, self.number, self.size = path, 0, 0
        plain = dialect.encoding == "utf-8" and dialect.newline == "\n"
        self.file = file if plain else io.TextIOWrapper(file, dialect.encoding, newline=dialect.newline)
        for _ in range(dialect.num_skipped):
            next(self, None)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next line. Each of UTF-8 is decoded by itself, so that the line of a wrong byte is known."""
        fix = "Save it as UTF-8."
        try:
            line = self.file.readline(MAX_ROW + 1 - self.size)
        except UnicodeError as error:
            self.number += 1
            self.fail("A table is text.", f"undecodable bytes ({error})", fix, error)
        if not line:
            raise StopIteration
        self.number, self.size = self.number + 1, self.size + len(line)
        if self.size > MAX_ROW:
            self.fail(f"A row may have at most {MAX_ROW:,} bytes.", "more", "Is a quote left open?")
        if isinstance(line, bytes):
            if b"\0" in line:
                self.fail("A table is UTF-8 text.", "NUL bytes, as in UTF-16 without a byte order mark", fix)
            try:
                line = line.decode()
            except UnicodeDecodeError as error:
                how = f"iconv -f WINDOWS-1252 -t UTF-8 {self.path.name} > NEW.csv"
                fix = f"Save it as UTF-8; if a spreadsheet wrote it as Windows-1252: {how}."
                self.fail("A table is UTF-8 text.", f"byte 0x{line[error.start]:02x}", fix, error)
        elif "\0" in line:
            self.fail("A table is text.", "NUL characters", fix)
        return line.removeprefix("\ufeff") if self.number == 1 else line

    def start_row(self) -> int:
        """The number of the line on which the next row starts."""
        self.size = 0
        return self.number + 1

    def fail(
        self, rule: str, received: str, fix: str, cause: Exception | None = None, line: int | None = None
    ) -> NoReturn:
        raise DataError(rule, received=received, where=f"{self.path}, line {line or self.number}", fix=fix) from cause


def csv_rows(lines: Lines, dialect: Dialect) -> Iterator[Row]:
    """The header, then the rows; empty lines are skipped."""
    # Strict, otherwise a quote that is left open would silently take the rest of the file as one field.
    reader = csv.reader(lines, delimiter=dialect.delimiter, strict=True)
    columns: tuple[str, ...] = ()
    repeated: list[str] = []  # the header as it is written, unless it could be a row of numbers
    width, left_out = 0, (*dialect.index, *dialect.empty)
    sign = f"a {SEPARATORS[dialect.delimiter][:-1]}" if dialect.delimiter in SEPARATORS else repr(dialect.delimiter)
    while True:
        line = lines.start_row()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            lines.fail("A row must be quoted as spreadsheets do.", str(error), "Fix the row.", error, line)
        if cells is None:
            break
        if not cells:
            continue
        if not columns:
            width = len(cells)
            columns = header(lines, cells, dialect)
            yield Row(line, dict(zip(columns, columns, strict=True)))
            if dialect.has_header:
                named = any(dialect.number(cell) is None for cell in cells)
                repeated = cells if named and width > 1 else repeated
                continue
        if len(cells) != width:
            received, fix = f"{len(cells)} values for {width} columns", f'Put values that hold {sign} into "quotes".'
            lines.fail("Each row needs one value for each column.", received, fix, line=line)
        if cells == repeated:
            rule = "A line repeats the names of the columns, as in concatenated tables."
            lines.fail(rule, "the header again", "Remove it.", line=line)
        if left_out:
            check_left_out(lines, cells, dialect, line, sign)
            cells = [cell for k, cell in enumerate(cells) if k not in left_out]
        yield Row(line, dict(zip(columns, cells, strict=True)))
    if not columns:
        lines.fail("A table starts with a line that names its columns.", "an empty file", "Fill it.", line=1)


def header(lines: Lines, cells: list[str], dialect: Dialect) -> tuple[str, ...]:
    """The names of the columns, which must be unique."""
    if not dialect.has_header:
        return tuple(map(str, range(len(cells))))
    names = tuple(cell.strip() for k, cell in enumerate(cells) if k not in (*dialect.index, *dialect.empty))
    if dialect.dated:
        names = (INDEX, *names[1:])
    if "" in names or len(set(names)) < len(names):
        lines.fail("Each column needs a name of its own.", some(map(repr, names), 20), "Rename them.")
    return names


def check_left_out(lines: Lines, cells: list[str], dialect: Dialect, line: int, sign: str) -> None:
    """Raises DataError if a column that was left out because of its first values holds something after all."""
    for k in dialect.index:
        if not WHOLE.fullmatch(cells[k].strip()):
            rule = "The first column has no name, and its first values number the rows."
            lines.fail(rule, repr(cells[k][:60]), "Give the column a name, or remove it.", line=line)
    for k in dialect.empty:
        if cells[k].strip():
            fix = f'Put values that hold {sign} into "quotes", or name the column.'
            received = f"{cells[k][:60]!r} in column {k + 1}"
            lines.fail("A column without a name must be empty.", received, fix, line=line)


def json_rows(lines: Lines) -> Iterator[Row]:
    """The keys of the first object as a header, then all objects; empty lines are skipped."""
    columns: set[str] = set()
    lines.start_row()
    for text in lines:
        if text.strip():
            values = json_object(lines, text)
            if not columns:
                columns = set(values)
                yield Row(lines.number, {key: key for key in values})
            if set(values) != columns:
                rule, fix = "Each row needs the same keys as the first.", "Write null if there is no value."
                lines.fail(rule, f"{some(sorted(set(values) ^ columns))} in one of them only", fix)
            yield Row(lines.number, values)
        lines.start_row()
    if not columns:
        lines.fail("A table needs rows.", "none", "Put one JSON object on each line.", line=1)


def json_object(lines: Lines, text: str) -> dict[str, Any]:
    """One line's object, with text that every file system and encoder takes."""
    try:
        values = json.loads(text, parse_constant=refuse_constant)
        if "\\u" in text:
            check_text(values)
    except (ValueError, RecursionError) as error:
        lines.fail("A line must be one JSON object.", str(error), "Fix the line.", error)
    if not isinstance(values, dict) or not values:
        lines.fail("A line must be one JSON object with keys.", repr(text.strip()[:60]), "Fix the line.")
    return values


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is not JSON")


def check_text(value: object) -> None:
    """Raises ValueError for half a surrogate pair or a NUL within a JSON string."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a NUL character")
        value.encode()
    elif isinstance(value, dict | list | tuple):
        for member in value.items() if isinstance(value, dict) else value:
            check_text(member)
