"""Writing one shard: the same records always give the same bytes."""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

from neocog.dataset.record import Modality
from neocog.modalities.table import MODALITIES
from neocog.shards.columns import KEY, ColumnFile, choose_columns, plain
from neocog.shards.scan import tar_records
from neocog.shards.store import Store, needed
from neocog.shards.tar import BLOCK

__all__ = [
    "ParquetWriter",
    "ShardWriter",
    "TarWriter",
    "columns_digests",
    "digest",
    "member_key",
    "tar_digests",
]

GROUP_BYTES = 2**22  # of a row group, the least that can be read; small enough for a record at random
GROUP_ROWS = 1024


class ShardWriter(Protocol):
    """Takes records until the shard is large enough. `size` counts the bytes so far."""

    size: int
    count: int

    def cost(self, members: Mapping[str, bytes]) -> int:
        """How many bytes a record would add."""
        ...

    def add(self, key: str, members: Mapping[str, bytes]) -> None: ...
    def finish(self) -> None: ...


def member_key(key: str) -> str:
    """A key as it stands in a tar, where the first dot ends it; `unquote` gives it back.

    >>> member_key("cats/a 1.png"), member_key("../x")
    ('cats/a 1%2Epng', '%2E%2E/x')
    """
    outer = key.startswith("/") or key.endswith("/") or "//" in key
    return quote(key, safe=" _-" if outer else "/ _-", errors="surrogateescape").replace(".", "%2E")


class TarWriter:
    """A record as neighbours KEY.jpg, KEY.cls; of nobody and no time, so that equal records give equal bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size, self.count = file, 0, 0

    def cost(self, members: Mapping[str, bytes]) -> int:
        return sum(BLOCK + len(content) + -len(content) % BLOCK for content in members.values())

    def add(self, key: str, members: Mapping[str, bytes]) -> None:
        for extension, content in members.items():
            info = tarfile.TarInfo(f"{member_key(key)}.{extension}")
            info.size = len(content)
            header = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
            self.write(header + content + bytes(-len(content) % BLOCK))
        self.count += 1

    def finish(self) -> None:
        self.write(bytes(2 * BLOCK))

    def write(self, content: bytes) -> None:
        self.file.write(content)
        self.size += len(content)


class ParquetWriter:
    """A row for each record: key, what was measured, label; with the features that `datasets` reads."""

    def __init__(self, file: BinaryIO, modality: Modality, classes: tuple[str, ...]) -> None:
        pyarrow, self.parquet = needed("pyarrow", "Parquet"), needed("pyarrow.parquet", "Parquet")
        self.pyarrow, self.column = pyarrow, modality
        kind = MODALITIES[modality]
        cell = pyarrow.string() if kind.is_text else file_type(pyarrow)
        fields = [(KEY, pyarrow.string()), (self.column, cell), ("label", pyarrow.int64())]
        features = {
            KEY: {"dtype": "string", "_type": "Value"},
            self.column: {"dtype": "string", "_type": "Value"} if kind.is_text else {"_type": kind.feature},
            "label": {"names": list(classes), "_type": "ClassLabel"},
        }
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        self.schema = pyarrow.schema(fields, metadata=metadata)
        compression = "zstd" if kind.is_text else "none"  # pictures and sounds are compressed already
        self.writer: Any = self.parquet.ParquetWriter(
            file, self.schema, compression=compression, use_dictionary=False, write_statistics=False
        )
        self.rows: list[dict[str, Any]] = []
        self.size = self.held = self.count = 0

    def cost(self, members: Mapping[str, bytes]) -> int:
        return 64 + sum(len(content) for content in members.values())

    def add(self, key: str, members: Mapping[str, bytes]) -> None:
        (extension, content), (_, label) = members.items()
        cell = content.decode() if extension == "txt" else {"bytes": content, "path": f"{self.count}.{extension}"}
        self.rows.append({KEY: key, self.column: cell, "label": int(label)})
        self.size, self.held = self.size + self.cost(members), self.held + self.cost(members)
        self.count += 1
        if self.held >= GROUP_BYTES or len(self.rows) >= GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            self.writer.write_table(self.pyarrow.Table.from_pylist(self.rows, schema=self.schema))
        self.rows, self.held = [], 0

    def finish(self) -> None:
        self.flush()
        self.writer.close()


def file_type(pyarrow: Any) -> Any:
    return pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def digest(key: str, parts: Mapping[str, bytes]) -> bytes:
    """A record's hash, by which what was written is compared with what is read back."""
    hashed = hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=16)
    for content in parts.values():
        hashed.update(len(content).to_bytes(8, "little"))
        hashed.update(content)
    return hashed.digest()


def tar_digests(store: Store, name: str) -> Iterator[bytes]:
    """The hashes of a tar's records, as they lie on the disk; keys as they stand there."""
    for record, read in tar_records(store, name):
        yield digest(record.key, {e: read(member.offset, member.size) for e, member in record.members.items()})


def columns_digests(store: Store, name: str) -> Iterator[bytes]:
    """The hashes of a Parquet shard's rows, as they lie on the disk."""
    file = ColumnFile(store, name, "parquet")
    columns = choose_columns(file)
    assert columns.label is not None
    for group in range(len(file.groups)):
        values = file.group(group, [KEY, columns.payload, columns.label])
        for key, cell, label in zip(*values.values(), strict=True):
            content = plain(cell, file.where)
            encoded = content.encode() if isinstance(content, str) else content
            yield digest(member_key(key), {"payload": encoded, "label": str(label).encode()})
