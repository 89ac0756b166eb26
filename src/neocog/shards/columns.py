"""Parquet and Arrow shards: columns in groups of rows; one group is the least that can be read.

As Hugging Face writes them: an image is a struct of `bytes` and `path`, or plain bytes; class names are in the
schema's metadata. Read with pyarrow: `datasets` would copy the whole set into a cache before the first record.
Source: the documentation of `datasets`, "Load tabular data" and "Create an image dataset".
"""

import json
import threading
from functools import lru_cache, partial
from typing import Any, NamedTuple

from neocog.dataset.column_names import COMMON_TEXTS, FILE_LABELS
from neocog.dataset.record import Modality
from neocog.errors import DataError, some
from neocog.shards.names import LABELS
from neocog.shards.store import Container, LocalStore, Store, explain_failure, import_package

__all__ = ["KEY", "ColumnChoice", "ColumnFile", "Columns", "choose_columns", "read_cell"]

HELD = 2  # row groups in memory for reads one by one
MAX_GROUP, MAX_ROWS = 2**33, 2**24  # bytes and rows of a row group, unpacked
AT_ONCE = 256  # rows
KEY = "key"
SMALLER = "Write it with smaller groups."


class ColumnChoice(NamedTuple):
    """The columns to read, and what the schema says of them."""

    payload: str
    label: str | None  # None if the file has no such column
    modality: Modality
    classes: tuple[str, ...] | None


explain_damage = partial(explain_failure, problem="is damaged, or not what its name says", fix="Fetch it again.")


class ColumnFile:
    """One shard: its schema, and any of its row groups."""

    def __init__(self, store: Store, name: str, container: Container) -> None:
        self.where = f"{store.root}/{name}"
        pyarrow = import_package("pyarrow", self.where)
        if container == "arrow" and not isinstance(store, LocalStore):
            rule = "Arrow shards are read from a folder of this machine."
            raise DataError(rule, received=self.where, fix="Use Parquet.")
        with explain_damage(self.where):
            if container == "parquet":
                parquet = import_package("pyarrow.parquet", self.where)
                file = store.path / name if isinstance(store, LocalStore) else store.open(name)
                self.parquet: Any = parquet.ParquetFile(file)
                self.schema: Any = self.parquet.schema_arrow
                groups = [self.parquet.metadata.row_group(k) for k in range(self.parquet.num_row_groups)]
                self.groups = [group.num_rows for group in groups]
                for k, (rows, size) in enumerate((group.num_rows, group.total_byte_size) for group in groups):
                    if not 0 <= size <= MAX_GROUP or not 0 <= rows <= MAX_ROWS:
                        rule = f"A row group has at most {MAX_GROUP:,} bytes and {MAX_ROWS:,} rows."
                        received = f"{rows:,} rows of {size:,} bytes in group {k}"
                        raise DataError(rule, received=received, where=self.where, fix=SMALLER)
            else:
                self.parquet, mapped = None, pyarrow.memory_map(self.where)
                try:
                    reader = pyarrow.ipc.open_file(mapped)
                    self.batches = [reader.get_batch(k) for k in range(reader.num_record_batches)]
                except pyarrow.ArrowInvalid:  # a stream, as `datasets` writes it; not copied
                    mapped.seek(0)
                    self.batches = list(pyarrow.ipc.open_stream(mapped))
                self.schema = self.batches[0].schema if self.batches else pyarrow.schema([])
                self.groups = [batch.num_rows for batch in self.batches]

    def group(self, number: int, columns: list[str]) -> dict[str, list[Any]]:
        size, found = 0, {column: list[Any]() for column in columns}
        with explain_damage(self.where):
            whole = [] if self.parquet else [self.batches[number].select(columns)]
            options = {"row_groups": [number], "columns": columns, "use_threads": False}
            for table in self.parquet.iter_batches(AT_ONCE, **options) if self.parquet else whole:
                size += table.nbytes
                if self.parquet and size > MAX_GROUP:  # a few bytes of Parquet can hold many that repeat
                    rule, where = f"A row group has at most {MAX_GROUP:,} bytes.", f"group {number} of {self.where}"
                    raise DataError(rule, received="more when unpacked", where=where, fix=SMALLER)
                table.validate(full=True)  # offsets that point elsewhere would be followed
                for column in columns:
                    found[column] += table.column(column).to_pylist()
        if short := [column for column, values in found.items() if len(values) != self.groups[number]]:
            rule, received = f"{self.where} is damaged.", f"{len(found[short[0]]):,} values in {short[0]}"
            received += f" for the {self.groups[number]:,} rows of group {number}"
            raise DataError(rule, received=received, fix="Fetch it again.")
        return found


def choose_columns(file: ColumnFile, *, labelled: bool = True) -> ColumnChoice:
    """The columns of the payload and the class.

    Unless it must be `labelled`, a file without a column for the class is accepted, too. Raises DataError that names
    the columns if there are none, or several that could be meant, and the type of a label that is not read.
    """
    with explain_damage(file.where):  # a damaged name is not UTF-8
        fields = {field.name: field.type for field in file.schema}
    if list(fields) == ["indices"]:
        rule = f"{file.where} holds only the numbers of rows in another file, as `datasets` keeps for shuffled sets."
        raise DataError(rule, fix="Save the data set itself with save_to_disk.")
    features = read_features(file.schema)
    kinds = {name: find_kind(name, kind, features.get(name, {})) for name, kind in fields.items()}
    labels = [name for name in LABELS if kinds.get(name) in ("number", "text")]
    labels = labels or [name for name in kinds if features.get(name, {}).get("_type") == "ClassLabel"]
    labels = labels or [name for name in kinds if name.lower() in FILE_LABELS and kinds[name] in ("number", "text")]
    texts = [name for name, kind in kinds.items() if kind == "text" and name not in labels]
    payloads = [name for name, kind in kinds.items() if kind in ("image", "audio")]
    payloads = payloads or [name for name in texts if name in COMMON_TEXTS[:2]]
    payloads = payloads or [name for name in texts if name.lower() in COMMON_TEXTS]
    odd = next((name for name in LABELS if name in fields and name not in labels), None)
    if odd is not None and not labels and len(payloads) == 1:
        rule = "A label is a whole number, a text, or true and false, one for each record."
        received = f"the column {odd!r} of type {str(fields[odd])[:80]}"
        raise DataError(rule, received=received, where=file.where, fix="Convert the column.")
    if len(payloads) != 1 or (len(labels) != 1 and (labelled or labels)):
        found = some((f"{name} ({str(kind)[:80]})" for name, kind in fields.items()), 12) or "none"
        rule = "Shards in columns have one of images, sounds or text, and one named label of numbers or names."
        raise DataError(rule, received=found, where=file.where, fix="Rename or leave out columns.")
    label = labels[0] if labels else None
    names = features.get(label, {}).get("names") if label is not None else None
    classes = tuple(names) if isinstance(names, list) and all(isinstance(n, str) for n in names) else None
    return ColumnChoice(payloads[0], label, kinds[payloads[0]], classes)


def read_features(schema: Any) -> dict[str, dict[str, Any]]:
    """The features that `datasets` wrote of the columns, by name; empty if there are none that can be read."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in found.items() if isinstance(feature, dict)}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def find_kind(name: str, kind: Any, feature: dict[str, Any]) -> str:
    """The kind of a column: image, audio, text, number, or empty for others.

    A column of nulls alone is a number: the test split of a table has one if its labels are hidden.
    """
    types = import_package("pyarrow", name).types
    inner = kind.value_type if types.is_dictionary(kind) else kind
    place = inner.get_field_index("bytes") if types.is_struct(inner) else -1  # of a struct with a file's bytes
    held = inner if place < 0 else inner.field(place).type
    if types.is_binary(held) or types.is_large_binary(held) or types.is_binary_view(held):
        return "audio" if feature.get("_type") == "Audio" or name == "audio" else "image"
    if types.is_string(inner) or types.is_large_string(inner) or types.is_string_view(inner):
        return "text"
    whole = types.is_integer(inner) or types.is_boolean(inner) or types.is_null(inner)
    return "number" if whole or types.is_floating(inner) or types.is_decimal(inner) else ""


class Columns:
    """Row groups of many shards; the last few stay in memory for reads one by one. Safe from any thread."""

    def __init__(self, store: Store, container: Container, payload: str) -> None:
        self.store, self.container, self.payload = store, container, payload
        self.open = lru_cache(HELD)(lambda name: ColumnFile(store, name, container))
        self.held = lru_cache(HELD)(self.read_group)
        self.lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Columns"], tuple[Store, Container, str]]:
        return Columns, (self.store, self.container, self.payload)

    def payloads(self, name: str, group: int) -> list[bytes | str]:
        with self.lock:
            return self.held(name, group)

    def read_group(self, name: str, group: int) -> list[bytes | str]:
        file = self.open(name)
        if group >= len(file.groups):
            raise DataError(f"{file.where} has {len(file.groups)} row groups, not {group + 1}.", fix="Index it again.")
        return [read_cell(value, file.where) for value in file.group(group, [self.payload])[self.payload]]


def read_cell(value: Any, where: str) -> bytes | str:
    """A cell as bytes or text. Raises DataError for one that only names a file."""
    found = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(found, bytes | str):
        fix = "Write the set with embedded files, as `push_to_hub` does."
        raise DataError("Each record holds its own bytes.", received=str(value)[:100], where=where, fix=fix)
    return found
