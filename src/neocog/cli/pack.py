"""`neocog pack`: a data set as shards with an index."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from neocog.cli.flags import DATA_FORMAT, PLAIN, Reading
from neocog.cli.stdout import write_out
from neocog.data.pack import pack as pack_shards
from neocog.progress import note

SHOWN = 20  # names of records that were passed over


def pack(
    data: str,
    out: Path,
    *,
    shard_size: str = "256MB",
    resize: int | None = None,
    format: Literal["tar", "parquet"] = "tar",
    on_corrupt: Literal["stop", "skip"] = "stop",
    data_format: Annotated[str | None, DATA_FORMAT] = None,
    reading: Reading = PLAIN,
    download: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Pack a data set into shards; `neocog.data.pack.pack` does the same.

    Parameters
    ----------
    data
        A name (mnist, cifar10), a path in any layout that `neocog train` takes, or shards to be packed anew.
    out
        The folder to write: empty or not there, or one in which an earlier call with the same settings was stopped.
    shard_size
        How large a shard becomes, such as 256MB or 1GiB; a larger record stands alone.
    resize
        The short side of pictures in pixels; smaller ones stay as they are. JPEG stays JPEG, of quality 95; others
        become PNG.
    format
        tar, as WebDataset reads it, for every kind of data; or parquet, as `datasets` reads it, for pictures, sounds
        and texts with one class each.
    on_corrupt
        Records that can't be read stop the packing, or are skipped and named.
    data_format
        The layout of the data, where it can be read in two ways.
    download
        Fetch a known data set from its official address if it is not on this machine.
    """
    packed = pack_shards(
        data,
        out,
        shard_size=shard_size,
        resize=resize,
        format=format,
        on_corrupt=on_corrupt,
        data_format=data_format,
        download=download,
        **reading.options(),
    )
    for key in packed.skipped[:SHOWN]:
        note(f"skipped: {key}")
    if packed.skipped:
        note(f"Skipped in all, as they could not be read: {len(packed.skipped):,}")
    kept = f", {packed.kept} of them from before" if packed.kept else ""
    shards = f"{packed.shards:,} shard{'' if packed.shards == 1 else 's'}{kept}"
    size = packed.size.human_readable(decimal=True, separator=" ")
    write_out(f"{packed.folder}  {packed.records:,} records, {shards}, {size}, read back and verified")
    return 0
