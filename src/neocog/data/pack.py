"""Packing: any data set as a few large shards with an index, checked after writing, resumed if it was stopped."""

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from pydantic import ByteSize, TypeAdapter

from neocog.data.known import find_data
from neocog.data.open import open_source
from neocog.dataset.record import Source, fingerprint, tell
from neocog.errors import ConfigError, DataError, RunError
from neocog.files import folder_lock, storage_errors
from neocog.modalities.table import MODALITIES
from neocog.shards.names import is_address
from neocog.shards.packer import Format, OnCorrupt, Packer, State, begin_state, keep_finished
from neocog.shards.store import import_package

__all__ = ["Packed", "pack", "parse_size"]

SIZES = (10**3, 10**12)  # bytes of a shard, the least and the most
SIZE = re.compile(r"\s*\d+(\.\d+)?\s*([kmgt]i?b|b)?\s*", re.IGNORECASE)


class Packed(NamedTuple):
    """The result: the folder, records, shards and bytes, and the keys of records that were skipped."""

    folder: Path
    records: int
    shards: int
    size: ByteSize
    kept: int  # shards that an earlier call had finished
    skipped: tuple[str, ...]


def pack(
    data: str | Path, out: str | Path, *, shard_size: str = "256MB", resize: int | None = None, format: Format = "tar",
    on_corrupt: OnCorrupt = "stop", data_format: str | None = None, download: bool = False, **options: object,
) -> Packed:  # fmt: skip
    """Write a data set as shards of about `shard_size` into an empty folder, with an index beside them.

    Encoded payloads stay as they are; with `resize`, images have at most that short side. Called again with the same
    settings, it resumes where it was stopped. Equal data give equal bytes. `data_format` and `options` are the `format`
    and the options of `open_source`.
    Raises DataError for records that can't be read, unless they are to be skipped, and for a folder that is not empty.
    """
    settings = check_settings(shard_size, resize, format, on_corrupt)
    out = Path(out)
    if not is_address(data) and out.resolve().is_relative_to((place := find_data(data, download=download)).resolve()):
        raise DataError(f"A data set is never written to. {out} is within {place}.", fix="Choose another folder.")
    source = open_source(data, format=data_format, download=download, **options)
    check_packable(source, resize, format)
    tell(source)
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        with folder_lock(out):
            state = begin_state(out, replace(settings, fingerprint=fingerprint(source)))
            packer = Packer(source, out, replace(state, shards=keep_finished(out, state)))
            kept = len(packer.state.shards)
            packer.run()
    except RunError:
        fix = "Wait for it, or choose another folder."
        raise DataError(f"{out} is being packed by another process.", fix=fix) from None
    (out / ".lock").unlink(missing_ok=True)
    shards = packer.state.shards
    records, size = sum(done.records for done in shards), sum(done.size for done in shards)
    return Packed(out, records, len(shards), ByteSize(size), kept, packer.skipped)


def check_settings(shard_size: str, resize: int | None, format: Format, on_corrupt: OnCorrupt) -> State:
    """Raises ConfigError for a value that is not accepted."""
    for name, value, known in (("format", format, get_args(Format)), ("on-corrupt", on_corrupt, get_args(OnCorrupt))):
        if value not in known:
            raise ConfigError(f"--{name} is one of {', '.join(known)}.", received=repr(value))
    if resize is not None and not 2 <= resize <= 65_535:
        raise ConfigError("--resize is the short side in pixels, 2 to 65,535.", received=str(resize))
    size = parse_size(shard_size)
    return State(fingerprint="", format=format, shard_size=size, resize=resize, on_corrupt=on_corrupt)


def parse_size(text: str) -> int:
    """A shard's size in bytes. Raises ConfigError for anything else, and below 1 kB or above 1 TB.

    >>> parse_size("256MB"), parse_size("1GiB"), parse_size("1.5 kb"), parse_size("4096")
    (256000000, 1073741824, 1500, 4096)
    """
    if not SIZE.fullmatch(text):  # ByteSize ignores whatever follows the unit, and also reads bits
        rule = "A size is a number and a unit: 256MB (a million bytes each) or 1GiB (2^30 bytes)."
        raise ConfigError(rule, received=repr(text), fix="Units are kB, MB, GB, TB, KiB, MiB, GiB, TiB.")
    size = TypeAdapter(ByteSize).validate_python(text.strip())
    if not SIZES[0] <= size <= SIZES[1]:
        received = f"{text!r}, which is {size:,} bytes"
        raise ConfigError("A shard has 1kB to 1TB.", received=received, fix="256MB suits most disks.")
    return int(size)


def check_packable(source: Source, resize: int | None, format: Format) -> None:
    """Raises DataError for settings that a set of this kind can't be packed with."""
    kind = MODALITIES[source.modality]
    if resize is not None and not kind.resizable:
        raise DataError(f"--resize is for images. {source.name} holds {kind.plural}.", fix="Leave it out.")
    if resize is not None and source.task in ("segmentation", "multi-label segmentation", "detection"):
        task = f"{source.name} is for {source.task}"
        raise DataError(f"--resize would not scale masks and boxes. {task}.", fix="Leave it out.")
    groups = getattr(source, "groups", None)
    if groups is not None and "all" in source.splits and len(np.unique(groups)) < len(source):
        rule = "Samples of one game, speaker or recording must stay in one split, and shards do not store groups."
        rule += f" {source.name} has {len(np.unique(groups)):,} groups and no splits."
        raise DataError(rule, fix="Put them into folders train, val and test before packing.")
    if format == "parquet":
        if kind.feature is None or source.task != "classification":
            rule = "Parquet shards hold images, audio or texts with one class each."
            received = f"{source.modality} for {source.task}"
            raise DataError(rule, received=received, where=source.name, fix="Use --format tar.")
        import_package("pyarrow", "Parquet shards")
