"""How a table in a text file is written, detected from its start: separator, decimal sign, encoding, header.

Spreadsheets write what is usual in their country: semicolons and decimal commas, or UTF-16 with tabs. Programs omit
the header, or number the rows in a column without a name. How a table differs from the plain form is reported.
"""

import codecs
import csv
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Literal

from neocog.dataset.column_names import KNOWN_NAMES
from neocog.dataset.files import suffix_of
from neocog.errors import DataError, some

__all__ = ["DELIMITERS", "MISSING", "Dialect", "find_dialect", "is_missing"]

DELIMITERS = {".csv": ",", ".tsv": "\t"}
SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
"""Column separators, in the order in which they are tried, and their names."""
MISSING = frozenset({"", "?", "na", "nan", "null"})
"""How tables write a missing value, in any case."""
ENCODINGS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
SAMPLES = (2**16, 2**20, 2**24)
"""Bytes to look at: the next size only if the one before holds too few rows."""
FEW, ENOUGH = 3, 200  # rows
MAX_SCAN = 2**26
"""Bytes that are searched for a decimal sign if the rows looked at hold whole numbers only."""
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)
UNNAMED = re.compile(r"(Unnamed: \d+(\.\d+)*)?$")
"""The name that pandas gives a column without one."""
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
FILE = re.compile(r".*[^\s.]\.([A-Za-z][A-Za-z0-9]{1,4})")
ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?|\d\d?:\d\d(:\d\d)?(\.\d+)?", re.ASCII)
LOOSE_COMMA = re.compile(r"(?<!\d),|,(?!\d)")
EXPONENT = r"([eE][+-]?\d+)?"
WORDS = r"[+-]?(nan|inf|infinity)"
NUMBERS = {
    sign: re.compile(rf"[+-]?(\d+({mark}\d*)?|{mark}\d+){EXPONENT}|{WORDS}", re.ASCII | re.IGNORECASE)
    for sign, mark in ((".", r"\."), (",", ","))
}
POINT = re.compile(rf"[+-]?\d*\.\d+{EXPONENT}", re.ASCII)
COMMA = re.compile(rf"[+-]?(0?,\d+|\d+,(\d{{1,2}}|\d{{4,}})|\d{{4,}},\d+){EXPONENT}", re.ASCII)
"""A decimal comma for certain: 1,234 could be a thousand and more."""
BYTES_POINT = re.compile(rb"(?:^|[\t;|\r\n\"])[+-]?\d*\.\d+(?=[\t;|\r\n\"])")
BYTES_COMMA = re.compile(rb"(?:^|[\t;|\r\n\"])[+-]?(?:0?,\d+|\d+,(?:\d{1,2}|\d{4,})|\d{4,},\d+)(?=[\t;|\r\n\"])")

Rows = list[list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one table is written. The default is the plain form of a .csv file.

    >>> Dialect(delimiter=";", decimal=",").number("-1,5")
    -1.5
    >>> Dialect().number("1_000"), Dialect(delimiter=";", decimal=",").number("1.234,56")
    (None, None)
    """

    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"
    newline: Literal["\n", "\r"] = "\n"
    """The end of a line; before a line feed there may be a carriage return."""
    num_skipped: int = 0
    """Lines before the header: 1 if the first names the separator, as Excel's `sep=;` does."""
    has_header: bool = True
    """If not, the columns are called by their place: 0, 1, ..."""
    index: tuple[int, ...] = ()
    """Places of leading columns without a name that only count the rows, as pandas writes them; they are left out."""
    empty: tuple[int, ...] = ()
    """Places of columns without a name and without any value; they are left out."""
    dated: bool = False
    """Whether the first column has no name and holds dates or times, as pandas writes an index of times."""
    differences: tuple[str, ...] = ()
    """How it differs from the plain form, as ends of a sentence that begins with the table's name."""

    def number(self, cell: str) -> float | None:
        """A cell as a number; None if it is not one, or could mean two, such as 1.234,56."""
        text = cell.strip()
        return float(text.replace(",", ".")) if NUMBERS[self.decimal].fullmatch(text) else None

    def why_no_number(self, cell: str) -> str:
        """How to make a cell a number, as the end of a message.

        >>> Dialect(delimiter=";", decimal=",").why_no_number("1.234,56")
        'Write numbers without signs for thousands, and with a decimal comma as the rest of the table.'
        """
        if re.fullmatch(r"[+-]?[\d.,]*\d[\d.,]*", cell.strip()):
            sign = "comma" if self.decimal == "," else "point"
            return f"Write numbers without signs for thousands, and with a decimal {sign} as the rest of the table."
        return "Correct the value, or leave the cell empty."


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.strip().lower() in MISSING


def find_dialect(path: Path) -> Dialect:
    """How a .csv or .tsv file is written; of a .jsonl file, its encoding. Raises DataError if it can't be read."""
    try:
        status = path.stat()
        return look_at(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}.") from error


@lru_cache(maxsize=2**14)
def look_at(path: Path, _changed: int, _size: int) -> Dialect:
    """As `find_dialect`, once for each state of a file, since several readers ask."""
    plain = DELIMITERS.get(path.suffix.lower(), "")
    for size in SAMPLES:
        with path.open("rb") as file:
            raw = file.read(size + 1)
        whole = len(raw) <= size
        encoding = next((name for mark, name in ENCODINGS.items() if raw.startswith(mark)), "utf-8")
        text = codecs.getincrementaldecoder(encoding)("replace").decode(raw[:size]).removeprefix("\ufeff")
        newline: Literal["\n", "\r"] = "\r" if re.match(r"[^\r\n]*\r[^\n]", text) else "\n"
        if not plain:
            return Dialect(delimiter="", encoding=encoding, differences=encoded(encoding))
        lines = text.split(newline)
        if whole or len(lines) > FEW + 1:
            break
    named = SEPARATOR_LINE.match(lines[0])
    lines = lines[bool(named) : None if whole else -1]
    delimiter = named[1] if named else choose_delimiter(lines, plain)
    rows = [row for row in parse(lines, delimiter) if row]
    if not whole and len(rows) > 1:
        del rows[-1]  # it may continue
    first, rest = (rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]) if rows else ([], [])
    decimal, skipped = decimal_sign(path, rest or rows, delimiter, whole), int(bool(named))
    known = Dialect(delimiter=delimiter, decimal=decimal, encoding=encoding, newline=newline, num_skipped=skipped)
    return complete(known, first, rest, plain)


def complete(dialect: Dialect, first: list[str], rest: Rows, plain: str) -> Dialect:
    """A dialect with everything that can be told once the cells are known: those of the first row, and of others."""
    decimal = dialect.decimal
    header = not looks_like_sample(first, rest, decimal)
    index = leading_index(first, rest, decimal) if header else ()
    unnamed = [k for k, name in enumerate(first) if header and not name.strip() and rest]
    empty = tuple(k for k in unnamed if not any(row[k] for row in rest))
    differences = []
    if dialect.delimiter != plain:
        differences.append(f"is separated by {SEPARATORS.get(dialect.delimiter, repr(dialect.delimiter))}")
    if decimal == ",":
        differences.append("has decimal commas")
    differences += encoded(dialect.encoding)
    if not header:
        called = some(range(len(first)), 2) if len(first) < 3 else f"0 to {len(first) - 1}"
        differences.append(f"has no line of column names: its columns are called {called}")
    names = [cell.strip() for k, cell in enumerate(first) if k not in (*index, *empty)]
    if header and names and all(map(NUMBERS["."].fullmatch, names)):
        differences.append(f"has numbers in its first line, which are read as the names of its columns: {some(names)}")
    if index:
        differences.append("numbers its rows in a column without a name, which is left out")
    dated = 0 in unnamed and kind_of([row[0] for row in rest], decimal) == "time"
    how = tuple(differences)
    return replace(dialect, has_header=header, index=index, empty=empty, dated=dated, differences=how)


def encoded(encoding: str) -> tuple[str, ...]:
    return () if encoding == "utf-8" else (f"is {encoding.upper()}",)


def parse(lines: Sequence[str], delimiter: str) -> Rows:
    """The first rows, up to one that is not quoted as spreadsheets do."""
    rows: Rows = []
    with suppress(csv.Error):
        rows.extend(islice(csv.reader((line + "\n" for line in lines), delimiter=delimiter, strict=True), ENOUGH))
    return rows


def choose_delimiter(lines: Sequence[str], plain: str) -> str:
    """The sign that separates columns: of those in the header, one that divides all rows into as many cells.

    >>> choose_delimiter(["text;label", "good, really;1"], ",")
    ';'
    """
    start = next((k for k, line in enumerate(lines) if line.strip()), 0)
    head = "".join(lines[start : start + 1])
    candidates = [sign for sign in (plain, *(sign for sign in SEPARATORS if sign != plain)) if sign in head]
    if candidates in ([], [plain]):
        return plain
    read = {sign: parse(lines, sign) for sign in candidates}
    widths = {sign: [len(row) for row in rows if row] for sign, rows in read.items()}
    even = [s for s in candidates if widths[s] and widths[s][0] > 1 and len(set(widths[s][:-1] or widths[s])) == 1]
    if len(even) > 1:
        # If all commas are between digits they are decimal commas, provided that something else can separate columns.
        usual = even[1] if even[0] == "," and not LOOSE_COMMA.search("\n".join(lines)) else even[0]
        return max([usual, *even], key=lambda sign: share_of_numbers(read[sign]))
    return next((sign for sign in even or candidates if widths[sign] and widths[sign][0] > 1), plain)


def share_of_numbers(rows: Rows) -> float:
    cells = [cell.strip() for row in rows for cell in row]
    return sum(any(pattern.fullmatch(cell) for pattern in NUMBERS.values()) for cell in cells) / max(1, len(cells))


def decimal_sign(path: Path, rows: Rows, delimiter: str, whole: bool) -> Literal[".", ","]:
    """The comma if columns are not separated by commas, and there are no decimal points; else the point."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    points, commas = (any(pattern.fullmatch(cell) for cell in cells) for pattern in (POINT, COMMA))
    if not points and not commas and not whole and any(WHOLE.fullmatch(cell) for cell in cells):
        status = path.stat()
        points, commas = decimals_within(path, status.st_size, status.st_mtime_ns)
    return "," if commas and not points else "."


@lru_cache(maxsize=256)
def decimals_within(path: Path, size: int, changed: int) -> tuple[bool, bool]:
    """Whether a large table has decimal points, and decimal commas; `size` and `changed` tell if it is the same."""
    with path.open("rb") as file:
        raw = file.read(MAX_SCAN)
    return bool(BYTES_POINT.search(raw)), bool(BYTES_COMMA.search(raw))


def looks_like_sample(first: list[str], rest: Rows, decimal: str) -> bool:
    """Whether the first row of a table is one of its samples, not the names of its columns.

    It is if it holds numbers, files or times in the columns in which the others do, or repeats a text of another row.

    >>> looks_like_sample(["0.1", "2"], [["0.2", "3"]], "."), looks_like_sample(["x", "y"], [["0.2", "3"]], ".")
    (True, False)
    >>> looks_like_sample(["1.png", "cat"], [["2.png", "dog"]], ".")
    True
    """
    numbered = bool(first and rest and UNNAMED.match(first[0].strip())) and is_counter([row[0] for row in rest])
    if not first or numbered or heads_numbers(first, rest[:FEW], decimal):
        return False
    columns = list(zip(*rest, strict=True)) if rest else [()] * len(first)
    if counts_columns(first) and any(cells and kind_of(cells, decimal) != "number" for cells in columns):
        return False
    numeric, alike = list[int](), False
    for k, (name, cells) in enumerate(zip(first, columns, strict=True)):
        if is_missing(name):
            continue
        kind = kind_of([name], decimal)
        usual = kind_of(cells, decimal) if rest else kind
        if usual == "number":
            numeric.append(k)
        other_files = rest and kind == "file" and suffix_of(name.strip()) not in {suffix_of(c.strip()) for c in cells}
        if usual != "text" and (kind != usual or other_files):
            return False
        alike |= usual not in ("text", "number")
    others, labels = [row for row in rest if row != first], [k for k in range(len(first)) if k not in numeric]
    repeats = any(repeats_value(first[k], [row[k] for row in others]) for k in labels if not is_missing(first[k]))
    if alike or (numeric and repeats):
        return True
    if any(name.strip().lower() in KNOWN_NAMES for name in first):
        return False
    if numeric:
        alone = sum(not is_missing(name) for name in first) == len(numeric)
        names = names_columns([first[k].strip() for k in numeric], [columns[k] for k in numeric], alone=alone)
        return not names or (len(rest) >= FEW and any(is_counter([first[k], *columns[k]]) for k in numeric))
    return repeats


def kind_of(cells: Iterable[str], decimal: str) -> str:
    """The kind of all cells that hold anything: number, time, text or file."""
    found = [cell.strip() for cell in cells if not is_missing(cell)]
    if not found:
        return "text"
    if all(NUMBERS[decimal].fullmatch(cell) for cell in found):
        return "number"
    if all(ISO_TIME.fullmatch(cell) for cell in found):
        return "time"
    return "file" if all(FILE.fullmatch(cell) for cell in found) else "text"


def heads_numbers(first: list[str], rest: Rows, decimal: str) -> bool:
    """Whether a text is above numbers: a quick proof that most tables of numbers have a header."""
    texts = [k for k, name in enumerate(first) if not is_missing(name) and kind_of([name], decimal) == "text"]
    return len(rest) == FEW and any(all(NUMBERS[decimal].fullmatch(row[k].strip()) for row in rest) for k in texts)


def repeats_value(name: str, cells: Sequence[str]) -> bool:
    """Whether a text is one of the few values that fill a column, as labels do."""
    values = [cell.strip() for cell in cells]
    return name.strip() in values and 2 * len(set(values)) <= len(values) + 2


def names_columns(first: list[str], columns: Sequence[Sequence[str]], *, alone: bool) -> bool:
    """Whether whole numbers above other numbers are names, such as wavelengths, or the numbers that pandas writes.

    `alone` says that there is nothing else in their row.

    >>> names_columns(["0", "1"], [["5"], ["3"]], alone=True)
    True
    >>> names_columns(["400", "410"], [["0.1"], ["0.2"]], alone=False)
    True
    >>> names_columns(["7", "12"], [["9", "6"], ["14", "11"]], alone=True)
    False
    """
    if not all(map(WHOLE.fullmatch, first)) or len(set(first)) < len(first):
        return False
    fractions = (any(POINT.fullmatch(cell.strip()) or COMMA.fullmatch(cell.strip()) for cell in c) for c in columns)
    if (alone and counts_columns(first)) or all(fractions):
        return True
    values = [int(cell) for cell in first]
    rising = len(values) > 2 and all(a < b for a, b in pairwise(values))
    return rising and all(outside(value, cells) for value, cells in zip(values, columns, strict=True))


def counts_columns(first: Sequence[str]) -> bool:
    """Whether the cells of a row are 0, 1, 2, ... or 1, 2, 3, ..., which pandas writes above columns without names."""
    cells = [cell.strip() for cell in first]
    return len(cells) > 1 and cells in ([str(k + start) for k in range(len(cells))] for start in (0, 1))


def outside(value: int, cells: Sequence[str]) -> bool:
    others = [float(cell.strip().replace(",", ".")) for cell in cells if not is_missing(cell)]
    return bool(others) and not min(others) <= value <= max(others)


def is_counter(cells: Sequence[str]) -> bool:
    """Whether cells are whole numbers, each one more than the one before."""
    whole = all(WHOLE.fullmatch(cell.strip()) for cell in cells)
    return whole and all(b - a == 1 for a, b in pairwise(map(int, cells)))


def leading_index(first: list[str], rest: Rows, decimal: str) -> tuple[int, ...]:
    """The places of leading columns without a name that number the rows.

    Shuffled rows count too, if the table also holds texts: then each number occurs once.
    """
    for k, name in enumerate(first[:-1]):
        cells = [row[k].strip() for row in rest]
        if not UNNAMED.match(name.strip()) or not cells or not all(map(WHOLE.fullmatch, cells)):
            return tuple(range(k))
        texts = (kind_of([row[k] for row in rest], decimal) != "number" for k in range(len(first)))
        if not is_counter(cells) and not (len(set(cells)) == len(cells) and any(texts)):
            return tuple(range(k))
    return tuple(range(len(first) - 1)) if first else ()
