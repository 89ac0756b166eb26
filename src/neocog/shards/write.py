"""Writing one shard: the same records always give the same bytes."""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import quote

from neocog.dataset.record import Modality
from neocog.shards.columns import KEY, ColumnFile, choose_columns, read_cell
from neocog.shards.scan import read_tar_records
from neocog.shards.store import Store, import_package
from neocog.shards.tar import BLOCK

__all__ = ["FEATURES", "ParquetWriter", "TarWriter", "hash_columns", "hash_record", "hash_tar", "member_key"]

GROUP_BYTES = 2**22  # of a row group, the least that can be read; small enough for a record at random
GROUP_ROWS = 1024
FEATURES = {"image": "Image", "audio": "Audio", "text": "Value"}


def member_key(key: str) -> str:
    """A key as it is written in a tar, where the first dot ends it; `unquote` gives it back.

    >>> member_key("cats/a 1.png"), member_key("../x")
    ('cats/a 1%2Epng', '%2E%2E/x')
    """
    outer = key.startswith("/") or key.endswith("/") or "//" in key
    return quote(key, safe=" _-" if outer else "/ _-", errors="surrogateescape").replace(".", "%2E")


class TarWriter:
    """A record as neighbours KEY.jpg, KEY.cls, without owner and time, so that equal records give equal bytes.

    `size` counts the bytes so far."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size, self.count = file, 0, 0

    def cost(self, members: Mapping[str, bytes]) -> int:
        """The bytes that a record would add."""
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
    """A row for each record: key, payload, label; with the features that `datasets` reads."""

    def __init__(self, output: BinaryIO, modality: Modality, classes: tuple[str, ...]) -> None:
        pyarrow, self.parquet = import_package("pyarrow", "Parquet"), import_package("pyarrow.parquet", "Parquet")
        self.pyarrow, self.column = pyarrow, modality
        file = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
        cell = pyarrow.string() if modality == "text" else file
        fields = [(KEY, pyarrow.string()), (self.column, cell), ("label", pyarrow.int64())]
        features = {
            KEY: {"dtype": "string", "_type": "Value"},
            self.column: {"dtype": "string", "_type": "Value"} if modality == "text" else {"_type": FEATURES[modality]},
            "label": {"names": list(classes), "_type": "ClassLabel"},
        }
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        self.schema = pyarrow.schema(fields, metadata=metadata)
        compression = "zstd" if modality == "text" else "none"  # images and sounds are compressed already
        self.writer: Any = self.parquet.ParquetWriter(
            output, self.schema, compression=compression, use_dictionary=False, write_statistics=False
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


def hash_record(key: str, parts: Mapping[str, bytes]) -> bytes:
    """A record's hash, which must be the same when it is read back."""
    hashed = hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=16)
    for content in parts.values():
        hashed.update(len(content).to_bytes(8, "little"))
        hashed.update(content)
    return hashed.digest()


def hash_tar(store: Store, name: str) -> Iterator[bytes]:
    """The hashes of a tar's records as they are on the disk, with the keys that are written there."""
    for record, read in read_tar_records(store, name):
        yield hash_record(record.key, {e: read(member.offset, member.size) for e, member in record.members.items()})


def hash_columns(store: Store, name: str) -> Iterator[bytes]:
    """The hashes of a Parquet shard's rows as they are on the disk."""
    file = ColumnFile(store, name, "parquet")
    columns = choose_columns(file)
    assert columns.label is not None
    for group in range(len(file.groups)):
        values = file.group(group, [KEY, columns.payload, columns.label])
        for key, cell, label in zip(*values.values(), strict=True):
            content = read_cell(cell, file.where)
            encoded = content.encode() if isinstance(content, str) else content
            yield hash_record(member_key(key), {"payload": encoded, "label": str(label).encode()})
