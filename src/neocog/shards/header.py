"""What an index says of its set as a whole: a JSON file beside the arrays with a row for each record."""

import hashlib
import itertools
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from neocog.annotations.files import encodable
from neocog.dataset.record import Modality
from neocog.dataset.targets import Task
from neocog.errors import DataError
from neocog.settings import SETTINGS
from neocog.shards.names import Container, Split

__all__ = ["INDEX", "MAX_HEADER", "Header", "Shard", "read_header", "write_header"]

INDEX = "neocog-index.json"
MAX_HEADER = 2**28

Count = Annotated[int, Field(ge=0, lt=2**62)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class Shard:
    """One shard: where it lies below the set's root, its bytes, its records, and how many are read at once."""

    name: str
    split: Split
    size: Count
    records: Count
    groups: tuple[Count, ...] = ()
    """Records of each row group, where the container reads no less; empty for a tar."""
    sha256: Digest | None = None
    """Of the whole file, where we packed it."""


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class Header:
    """The set: its kind, its classes, its shards in the order of the records, and the SHA-256 of the index's arrays."""

    format: Literal["neocog-shards"] = "neocog-shards"
    version: Literal[1] = 1
    name: str
    container: Container
    modality: Modality
    task: Task
    classes: tuple[str, ...]
    shards: tuple[Shard, ...]
    arrays: dict[str, Digest]
    payload: str | None = None
    """The column with what was measured, of Parquet and Arrow."""
    label: str | None = None
    """The column with the class."""
    channels: Annotated[tuple[str, ...], Field(exclude_if=lambda names: not names)] = ()
    """The names of the channels of signals, if they have any; earlier versions refuse them."""
    packed: bool = False
    """Whether we packed it, so that members carry the records' own keys."""
    resize: Annotated[int, Field(ge=1)] | None = None
    """The short side to which pictures were scaled when they were packed, in pixels."""
    notices: tuple[str, ...] = ()
    left_out: tuple[tuple[str, Count], ...] = ()
    """What is said of records that the shards hold and that are not in the index, and how many they are."""
    unlabelled: tuple[Split, ...] = ()
    """Splits that are left out because their labels are hidden."""

    def __len__(self) -> int:
        return sum(shard.records for shard in self.shards)

    @property
    def ranges(self) -> dict[str, range]:
        """The records of each split, which follow each other."""
        found, start = dict[str, range](), 0
        for split, shards in itertools.groupby(self.shards, lambda shard: shard.split):
            stop = start + sum(shard.records for shard in shards)
            if split in found:
                raise DataError(
                    f"The shards of a split must follow each other. In {self.name}, those of {split} do not."
                )
            found[split], start = range(start, stop), stop
        return found

    @property
    def identity(self) -> bytes:
        """A digest of everything that the index says: classes, and each record's key, label, place and length."""
        parts = [*self.classes, *(f"{name} {digest}" for name, digest in sorted(self.arrays.items()))]
        parts += [f"{shard.size} {shard.sha256 or ''}" for shard in self.shards]
        return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).digest()


HEADERS = TypeAdapter(Header)


def write_header(header: Header) -> bytes:
    """Raises DataError for names that no text can hold."""
    try:
        unused = {
            key for key in ("left_out", "unlabelled") if not getattr(header, key)
        }  # earlier versions refuse these
        return HEADERS.dump_json(header, indent=1, exclude=unused) + b"\n"
    except ValueError as error:  # such as the bytes of a file's name that are no UTF-8
        names = (header.name, *header.classes, *(shard.name for shard in header.shards))
        odd = next((name for name in names if not encodable(name)), header.name)
        raise DataError(
            f"Sets, shards and classes need names in Unicode. Received: {odd[:200]!r}. Rename it."
        ) from error


def read_header(content: bytes, where: str) -> Header:
    """Raises DataError for what is no index of this version, and for shards that lie outside of the set."""
    try:
        header = HEADERS.validate_json(content)
    except (ValidationError, ValueError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        place = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{where} is no index of version 1: {first['msg']}{', at ' + place if place else ''}. Pack the set "
            "again, or update Neocog."
        ) from error
    for shard in header.shards:
        path = PurePosixPath(shard.name)
        if path.is_absolute() or ".." in path.parts or "\\" in shard.name or ":" in shard.name:
            raise DataError(f"Shards lie beside their index. {where} names {shard.name!r}. It is not read.")
    if "all" in header.ranges and len(header.ranges) > 1:
        raise DataError(f"Either all shards belong to splits or none does. {where} names {', '.join(header.ranges)}.")
    return header
