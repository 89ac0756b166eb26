"""Tables in text files: the rows of CSV, TSV and JSONL, with every way in which such a file can be wrong named.

A CSV or TSV file quotes its fields as spreadsheets do (RFC 4180); its values are text, as they are written. How it is
separated and encoded, and whether it has a header, is found by looking at its start (`dialect`). A JSONL file has one
JSON object on each line; its values are what JSON says. Text is UTF-8, or UTF-16 with a byte order mark.
"""

import csv
import io
import json
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from neocog.dataset.dialect import DELIMITERS, SEPARATORS, Dialect, find_dialect
from neocog.errors import DataError, some

__all__ = ["MAX_ROW", "SUFFIXES", "Row", "is_table", "read_columns", "read_rows", "table_notices"]

SUFFIXES = (*DELIMITERS, ".jsonl")
MAX_ROW = 2**24
"""Bytes of a row; a larger one is refused before it is read whole. A CSV field is limited to 131,072 characters by
Python's csv module."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
INDEX = "Unnamed: 0"
"""What pandas calls a first column without a name."""
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
SIGNS = {sign: f"a {name[:-1]}" for sign, name in SEPARATORS.items()}
"""What separates columns, as one sign."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line on which it starts, counted from 1, and its values by column."""

    line: int
    values: dict[str, Any]


def is_table(path: Path) -> bool:
    """Whether this is a file that is named as a table."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def read_columns(path: Path) -> tuple[str, ...]:
    """The names of the columns: the header, or the keys of the first JSON object. Raises DataError as `read_rows`."""
    with closing(entries(path)) as rows:
        return tuple(next(rows).values)


def read_rows(path: Path) -> Generator[Row, None, None]:
    """All rows of a table, which all have the same columns.

    Raises DataError, with the file and the line, for what is no UTF-8 text, has no header or no rows, a row with more
    or fewer values than the header, JSON that is invalid, and a row above `MAX_ROW`.
    """
    with closing(entries(path)) as rows:
        next(rows)  # the header
        first = next(rows, None)
        if first:
            yield first
            yield from rows
    if not first:
        raise DataError(f"A table needs rows below its header. Received: none, in {path}. Add them.")


def table_notices(paths: Iterable[Path]) -> tuple[str, ...]:
    """In what tables differ from plain ones (UTF-8, a header, commas in .csv, tabs in .tsv): a sentence for each way.

    Raises DataError as `read_rows`.
    """
    found: dict[str, list[str]] = {}
    for path in paths:
        differences = find_dialect(path).differences
        if differences:
            found.setdefault("; ".join(differences), []).append(path.name)
    return tuple(
        f"{names[0]} {how}" if len(names) == 1 else f"each of {len(names):,} tables ({some(names, 2)}) {how}"
        for how, names in found.items()
    )


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
    """The lines of a file as text, none of which is longer than what is left for its row."""

    def __init__(self, file: IO[bytes], path: Path, dialect: Dialect) -> None:
        self.file, self.path = file, path
        self.number, self.size = 0, 0
        self.plain = dialect.encoding == "utf-8" and dialect.newline == "\n"
        self.text = io.TextIOWrapper(file, dialect.encoding, newline=dialect.newline) if not self.plain else None
        for _ in range(dialect.num_skipped):
            next(self, None)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self.next_decoded(self.text) if self.text else self.next_plain()

    def next_plain(self) -> str:
        """The next line of UTF-8, of which each line is decoded by itself, so that a wrong byte's line is known."""
        raw = self.file.readline(MAX_ROW + 1 - self.size)
        if not raw:
            raise StopIteration
        self.count(len(raw))
        if b"\0" in raw:
            self.fail(
                "A table is UTF-8 text. Received: NUL bytes, as in UTF-16 without a byte order mark. Save it as UTF-8."
            )
        try:
            return (raw.removeprefix(BYTE_ORDER_MARK) if self.number == 1 else raw).decode()
        except UnicodeDecodeError as error:
            self.fail(
                f"A table is UTF-8 text. Received: byte 0x{raw[error.start]:02x}. Save it as UTF-8; if a spreadsheet "
                f"wrote it as Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 {self.path.name} > NEW.csv.",
                error,
            )

    def next_decoded(self, text: io.TextIOWrapper) -> str:
        """The next line of another encoding, or that ends with a carriage return alone."""
        try:
            line = text.readline(MAX_ROW + 1 - self.size)
        except UnicodeError as error:
            self.number += 1
            self.fail(f"A table is text. Received: what can't be decoded ({error}). Save it as UTF-8.", error)
        if not line:
            raise StopIteration
        self.count(len(line))
        if "\0" in line:
            self.fail("A table is text. Received: NUL characters. Save it as UTF-8.")
        return line.removeprefix("\ufeff") if self.number == 1 else line

    def count(self, size: int) -> None:
        self.number, self.size = self.number + 1, self.size + size
        if self.size > MAX_ROW:
            self.fail(f"A row may have at most {MAX_ROW:,} bytes. Received: more. Is a quote left open?")

    def start_row(self) -> int:
        """The number of the line on which the next row starts."""
        self.size = 0
        return self.number + 1

    def fail(self, message: str, cause: Exception | None = None, line: int | None = None) -> NoReturn:
        raise DataError(f"{message} Where: {self.path}, line {line or self.number}.") from cause


def csv_rows(lines: Lines, dialect: Dialect) -> Iterator[Row]:
    """The header, then the rows; empty lines are passed over."""
    # Strict, for else a quote that is left open would take the rest of the file as one field without a word.
    reader = csv.reader(lines, delimiter=dialect.delimiter, strict=True)
    columns: tuple[str, ...] = ()
    repeated: list[str] = []
    """The header as it is written, if it could not be a row of numbers."""
    width = 0
    left_out = (*dialect.index, *dialect.empty)
    while True:
        line = lines.start_row()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            lines.fail(f"A row must be quoted as spreadsheets do. Received: {error}. Mend it.", error, line)
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
            lines.fail(
                f"Each row needs one value for each column. Received: {len(cells)} values for {width} columns. "
                f'Put values that hold {SIGNS.get(dialect.delimiter, repr(dialect.delimiter))} into "quotes".',
                line=line,
            )
        if cells == repeated:
            lines.fail("A line repeats the names of the columns, as in tables that were joined. Remove it.", line=line)
        if left_out:
            check_left_out(lines, cells, dialect, line)
            cells = [cell for k, cell in enumerate(cells) if k not in left_out]
        yield Row(line, dict(zip(columns, cells, strict=True)))
    if not columns:
        lines.fail("A table starts with a line that names its columns. Received: an empty file. Fill it.", line=1)


def header(lines: Lines, cells: list[str], dialect: Dialect) -> tuple[str, ...]:
    """The names of the columns, each of its own."""
    if not dialect.has_header:
        return tuple(map(str, range(len(cells))))
    names = tuple(cell.strip() for k, cell in enumerate(cells) if k not in (*dialect.index, *dialect.empty))
    if dialect.dated:
        names = (INDEX, *names[1:])
    if "" in names or len(set(names)) < len(names):
        lines.fail(f"Each column needs a name of its own. Received: {some(map(repr, names), 20)}. Rename them.")
    return names


def check_left_out(lines: Lines, cells: list[str], dialect: Dialect, line: int) -> None:
    """Raises DataError where a column that was left out for its first values holds something after all."""
    for k in dialect.index:
        if not WHOLE.fullmatch(cells[k].strip()):
            lines.fail(
                f"The first column has no name, and its first values number the rows. Received: {cells[k][:60]!r}. "
                "Give the column a name, or remove it.",
                line=line,
            )
    for k in dialect.empty:
        if cells[k].strip():
            lines.fail(
                f"A column without a name must be empty. Received: {cells[k][:60]!r} in column {k + 1}. Put values "
                f'that hold {SIGNS.get(dialect.delimiter, repr(dialect.delimiter))} into "quotes", or name the column.',
                line=line,
            )


def json_rows(lines: Lines) -> Iterator[Row]:
    """The keys of the first object as a header, then all objects; empty lines are passed over."""
    columns: set[str] = set()
    lines.start_row()
    for text in lines:
        if text.strip():
            values = json_object(lines, text)
            if not columns:
                columns = set(values)
                yield Row(lines.number, {key: key for key in values})
            if set(values) != columns:
                lines.fail(
                    "Each row needs the same keys as the first. Received: "
                    f"{some(sorted(set(values) ^ columns))} in one of them only. Give each row all keys, null where "
                    "there is no value."
                )
            yield Row(lines.number, values)
        lines.start_row()
    if not columns:
        lines.fail("A table needs rows. Received: none. Put one JSON object on each line.", line=1)


def json_object(lines: Lines, text: str) -> dict[str, Any]:
    """One line's object, with text that every file system and encoder takes."""
    try:
        values = json.loads(text, parse_constant=refuse_constant)
        if "\\u" in text:
            check_text(values)
    except (ValueError, RecursionError) as error:
        lines.fail(f"A line must be one JSON object. Received: {error}. Mend the line.", error)
    if not isinstance(values, dict) or not values:
        lines.fail(f"A line must be one JSON object with keys. Received: {text.strip()[:60]!r}. Mend the line.")
    return values


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no JSON")


def check_text(value: object) -> None:
    """Raises ValueError for half a surrogate pair or a NUL within a JSON string."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a NUL character")
        value.encode()
    elif isinstance(value, dict):
        for pair in value.items():
            check_text(pair)
    elif isinstance(value, list | tuple):
        for member in value:
            check_text(member)
