"""Packing: any data set as a few large shards with an index, verified after writing, resumed where it stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from neocog.data.known import find_data
from neocog.data.open import open_source
from neocog.dataset.record import Source, fingerprint, tell
from neocog.errors import ConfigError, DataError, RunError
from neocog.files import folder_lock, storage_errors
from neocog.modalities.table import MODALITIES
from neocog.shards.names import is_address
from neocog.shards.packer import Packer
from neocog.shards.size import parse_size
from neocog.shards.state import Format, OnCorrupt, State, begin_state, keep_finished
from neocog.shards.store import needed

__all__ = ["Packed", "pack"]


@dataclass(frozen=True, slots=True)
class Packed:
    """The result: the folder, the numbers of samples, shards and bytes, and the keys of skipped samples."""

    folder: Path
    records: int
    shards: int
    size: int
    kept: int
    """Shards that an earlier call had finished."""
    skipped: tuple[str, ...]


def pack(
    data: str | Path,
    out: str | Path,
    *,
    shard_size: str = "256MB",
    resize: int | None = None,
    format: Format = "tar",
    on_corrupt: OnCorrupt = "stop",
    data_format: str | None = None,
    download: bool = False,
    **options: object,
) -> Packed:
    """Write a data set as shards of about `shard_size` into an empty folder, with an index beside them.

    Encoded payloads stay as they are; with `resize`, images have at most that short side. Called again with the same
    settings, it resumes where it stopped. Equal data give equal bytes. `data_format` and `options` are the `format`
    and the options of `open_source`.
    Raises DataError for samples that can't be read, unless they are to be skipped, and for a folder that is not empty.
    """
    settings = check_settings(shard_size, resize, format, on_corrupt)
    out = Path(out)
    if not is_address(data):
        check_apart(out, find_data(data, download=download))
    source = open_source(data, format=data_format, download=download, **options)
    check_packable(source, resize, format)
    tell(source)
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        state = begin_state(out, replace(settings, fingerprint=fingerprint(source)))
        packer = Packer(source, out, replace(state, shards=keep_finished(out, state)))
        kept = len(packer.state.shards)
        packer.run()
    (out / ".lock").unlink(missing_ok=True)
    shards = packer.state.shards
    records, size = sum(done.records for done in shards), sum(done.size for done in shards)
    return Packed(out, records, len(shards), size, kept, packer.skipped)


def check_settings(shard_size: str, resize: int | None, format: Format, on_corrupt: OnCorrupt) -> State:
    """Raises ConfigError for a value that is not accepted."""
    for name, value, taken in (("format", format, get_args(Format)), ("on-corrupt", on_corrupt, get_args(OnCorrupt))):
        if value not in taken:
            raise ConfigError(f"--{name} is one of {', '.join(taken)}.", received=repr(value))
    if resize is not None and not 2 <= resize <= 65_535:
        raise ConfigError("--resize is the short side in pixels, 2 to 65,535.", received=str(resize))
    size = parse_size(shard_size)
    return State(fingerprint="", format=format, shard_size=size, resize=resize, on_corrupt=on_corrupt)


def check_apart(out: Path, data: Path) -> None:
    """Raises DataError if the shards would be written into the data that they are made from."""
    inner, outer = out.resolve(), data.resolve()
    if inner == outer or outer in inner.parents:
        raise DataError(f"A data set is never written to. {out} is within {data}.", fix="Choose another folder.")


def check_packable(source: Source, resize: int | None, format: Format) -> None:
    """Raises DataError for settings that a set of this kind can't be packed with."""
    kind = MODALITIES[source.modality]
    if resize is not None and not kind.resizable:
        raise DataError(f"--resize is for images. {source.name} holds {kind.plural}.", fix="Leave it out.")
    if resize is not None and source.task in ("segmentation", "detection"):
        raise DataError(
            f"--resize would not resize masks and boxes. {source.name} is for {source.task}.", fix="Leave it out."
        )
    groups = getattr(source, "groups", None)
    if groups is not None and "all" in source.splits and len(np.unique(groups)) < len(source):
        raise DataError(
            "Samples of one game, speaker or recording must stay in one split, and shards do not store groups. "
            f"{source.name} has {len(np.unique(groups)):,} groups and no splits.",
            fix="Put them into folders train, val and test before packing.",
        )
    plain = kind.feature is not None and source.task == "classification"
    if format == "parquet" and not plain:
        raise DataError(
            "Parquet shards hold images, audio or texts with one class each. "
            f"{source.name} is {source.modality} for {source.task}.",
            fix="Use --format tar.",
        )
    if format == "parquet":
        needed("pyarrow", "Parquet shards")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    try:
        with folder_lock(out):
            yield
    except RunError:
        rule = f"{out} is being packed by another process."
        raise DataError(rule, fix="Wait for it, or choose another folder.") from None
