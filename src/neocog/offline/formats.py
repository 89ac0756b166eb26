"""The three forms of an output: Parquet, CSV and JSON Lines, written in parts and joined as a stream.

A part is a complete file of its form, but for the header of a CSV file. Nested values are JSON in a CSV file; bytes
are base64 in CSV and JSON.
"""

import base64
import csv
import io
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, ClassVar

from neocog.errors import ConfigError
from neocog.offline.columns import Kind, ListOf, Struct

__all__ = ["FORMS", "Form", "form_of"]

ROW_GROUP = 65_536  # rows
GROUP_BYTES = 2**27  # at which a row group with masks ends earlier
COMPRESSION = "zstd"


class Form(ABC):
    """A form of file with these columns."""

    suffix: ClassVar[str]

    def __init__(self, columns: Mapping[str, Kind], about: Mapping[str, str]) -> None:
        """`about` is stored beside the rows, if the form has a place for it."""
        self.columns, self.about = dict(columns), dict(about)

    @abstractmethod
    def write_part(self, file: BinaryIO, rows: Sequence[dict[str, Any]]) -> None:
        """Write the rows of a block, each with a value or None for every column."""

    @abstractmethod
    def join(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        """Write the whole from its parts, with the memory of a few."""


class JSONLines(Form):
    """A JSON object on each line, without the columns that have no value."""

    suffix = ".jsonl"

    def write_part(self, file: BinaryIO, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            there = {name: plain(value) for name, value in row.items() if value is not None}
            file.write(json.dumps(there, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def join(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        copy_all(file, parts)


class CSV(Form):
    """Comma-separated values with a header; numbers at full precision, and an empty cell if there is no value."""

    suffix = ".csv"

    def write_part(self, file: BinaryIO, rows: Sequence[dict[str, Any]]) -> None:
        self.write_rows(file, ([cell(row[name]) for name in self.columns] for row in rows))

    def join(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        self.write_rows(file, [list(self.columns)])
        copy_all(file, parts)

    def write_rows(self, file: BinaryIO, rows: Iterable[Sequence[Any]]) -> None:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, lineterminator="\n").writerows(rows)
        file.write(buffer.getvalue().encode("utf-8", "backslashreplace"))


class Parquet(Form):
    """Parquet by pyarrow: nested columns, zstd, and what the file is about in the metadata of its schema."""

    suffix = ".parquet"

    def __init__(self, columns: Mapping[str, Kind], about: Mapping[str, str]) -> None:
        super().__init__(columns, about)
        try:
            import pyarrow
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise ConfigError(
                "Parquet files are written by pyarrow.", received=f"no module {error.name}",
                fix="Install it: pip install 'neocog[scale]'. Or choose --out predictions.csv or .jsonl.",
            ) from error  # fmt: skip
        self.pyarrow, self.parquet = pyarrow, parquet
        fields = [pyarrow.field(name, arrow_type(pyarrow, kind)) for name, kind in columns.items()]
        self.schema = pyarrow.schema(fields, metadata={f"neocog.{name}": text for name, text in about.items()})

    def write_part(self, file: BinaryIO, rows: Sequence[dict[str, Any]]) -> None:
        safe = [{name: printable(value) for name, value in row.items()} for row in rows]
        table = self.pyarrow.Table.from_pylist(safe, schema=self.schema)
        self.parquet.write_table(table, file, compression=COMPRESSION)

    def join(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        with self.parquet.ParquetWriter(file, self.schema, compression=COMPRESSION) as writer:
            held: list[Any] = []
            for part in parts:
                held.append(self.parquet.read_table(part, schema=self.schema))
                if sum(map(len, held)) >= ROW_GROUP or sum(table.nbytes for table in held) >= GROUP_BYTES:
                    self.write_group(writer, held)
            self.write_group(writer, held)

    def write_group(self, writer: Any, held: list[Any]) -> None:
        if held:
            table = self.pyarrow.concat_tables(held)
            writer.write_table(table, row_group_size=max(1, len(table)))
            held.clear()


FORMS: Mapping[str, type[Form]] = {form.suffix: form for form in (Parquet, CSV, JSONLines)}
"""By the suffix of a file."""


def form_of(path: Path) -> type[Form]:
    """The form of a file by its name. Raises ConfigError for another one."""
    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise ConfigError(
            "The output is a .parquet, .csv or .jsonl file.", received=str(path), fix="Name it predictions.parquet."
        )
    return form


def arrow_type(pyarrow: Any, kind: Kind) -> Any:
    """The Arrow type of a column."""
    if isinstance(kind, ListOf):
        return pyarrow.list_(arrow_type(pyarrow, kind.kind), -1 if kind.size is None else kind.size)
    if isinstance(kind, Struct):
        return pyarrow.struct([(name, arrow_type(pyarrow, inner)) for name, inner in kind.fields])
    names = {"float": "float32", "double": "float64", "bool": "bool_"}
    return getattr(pyarrow, names.get(kind, kind))()


def printable(value: Any) -> Any:
    """Text as UTF-8 can hold it: bytes of a name that are not are written as \\udc80 and the like."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def plain(value: Any) -> Any:
    """A value as JSON can hold it: bytes as base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def cell(value: Any) -> Any:
    """A value as a CSV file holds it: nested ones as JSON, truth as true or false."""
    if isinstance(value, bool | list | dict):
        return json.dumps(plain(value), ensure_ascii=False)
    return plain(value)


def copy_all(file: IO[bytes], parts: Iterable[Path]) -> None:
    for part in parts:
        with part.open("rb") as one:
            shutil.copyfileobj(one, file, 2**20)
