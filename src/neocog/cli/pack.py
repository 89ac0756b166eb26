"""`neocog pack`: a data set as shards with an index."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from neocog.cli.flags import DATA_FORMAT, PLAIN, Download, Reading
from neocog.cli.stdout import write_out
from neocog.data.pack import pack as pack_shards
from neocog.errors import agree
from neocog.progress import note

SHOWN = 20  # names of skipped samples


def pack(
    data: str,
    out: Path,
    *,
    shard_size: Annotated[str, Parameter(metavar="SIZE")] = "256MB",
    resize: int | None = None,
    format: Literal["tar", "parquet"] = "tar",
    on_corrupt: Literal["stop", "skip"] = "stop",
    data_format: Annotated[str | None, DATA_FORMAT] = None,
    reading: Reading = PLAIN,
    download: Download = False,
) -> int:
    """Pack a data set into a few large shards with an index, so that any sample is a single read.

    neocog pack images/ shards/
    neocog pack images/ small/ --resize 256 --shard-size 1GiB
    neocog pack mnist parquet/ --format parquet

    Each shard is read back and compared after it is written. Run it again with the
    same settings to continue where it was stopped. The data is never changed.
    WebDataset reads the tars, `datasets` the Parquet files.
    In Python: neocog.data.pack.pack.

    Parameters
    ----------
    data
        A name (mnist, cifar10), a path in any layout that `neocog train` reads, or shards to repack.
    out
        The folder to write: empty, new, or that of an earlier call with the same settings that was stopped.
    shard_size
        Size of a shard, such as 256MB or 1GiB; a larger sample gets a shard of its own.
    resize
        Length of the short side of images in pixels; smaller images stay as they are. JPEG stays JPEG, at quality 95;
        others become PNG.
    format
        tar, as WebDataset reads it, for every kind of data; or parquet, as `datasets` reads it, for images, audio and
        texts with one label each.
    on_corrupt
        If a sample can't be read: stop, or skip and name it.
    data_format
        The layout of the data, if it can be read in two ways.
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
        note(agree("{n} sample(|s) could not be read and (was|were) skipped", len(packed.skipped)))
    kept = f", {packed.kept} of them from before" if packed.kept else ""
    counts = f"{agree('{n} sample(|s)', packed.records)}, {agree('{n} shard(|s)', packed.shards)}{kept}"
    size = packed.size.human_readable(decimal=True, separator=" ")
    write_out(f"{packed.folder}  {counts}, {size}, read back and verified")
    return 0
