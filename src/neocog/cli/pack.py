"""`neocog pack`: a data set as shards with an index."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from neocog.cli.flags import COLUMNS, DATA_FORMAT, STEP, WINDOW, column_names
from neocog.cli.stdout import write_out
from neocog.data.shards.pack import pack as pack_shards
from neocog.data.shards.size import show_size
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
    window: Annotated[int | None, WINDOW] = None,
    step: Annotated[int | None, STEP] = None,
    columns: Annotated[str | None, COLUMNS] = None,
    file_column: Annotated[str | None, Parameter(name=["--file-column", "--data.file_column"])] = None,
    text_column: Annotated[str | None, Parameter(name=["--text-column", "--data.text_column"])] = None,
    label_column: Annotated[str | None, Parameter(name=["--label-column", "--data.label_column"])] = None,
    class_level: int | None = None,
    test_fold: str | None = None,
    download: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Pack a data set into shards; `neocog.data.shards.pack.pack` does the same.

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
    window
        Samples of the windows into which long recordings are cut.
    step
        Samples from one window's start to the next.
    columns
        The columns of a table that are channels, such as x,y,z.
    file_column
        The column of a table that names the images, where it has another name than usual.
    text_column
        The column of a table that holds the texts, where it has another name than usual.
    label_column
        The column of a table that holds the labels, where it has another name than usual.
    class_level
        The level below the data set's folder at which the folders of the classes are.
    test_fold
        The name or the number of the fold for the test, where folders are folds.
    download
        Fetch a known data set from its official address if it is not on this machine.
    """
    packed = pack_shards(
        data, out, shard_size=shard_size, resize=resize, format=format, on_corrupt=on_corrupt,
        data_format=data_format, download=download, window=window, step=step,
        columns=column_names(columns),
        file_column=file_column, text_column=text_column, label_column=label_column,
        class_level=class_level, test_fold=test_fold,
    )  # fmt: skip
    for key in packed.skipped[:SHOWN]:
        note(f"skipped: {key}")
    if packed.skipped:
        note(f"Skipped in all, as they could not be read: {len(packed.skipped):,}")
    kept = f", {packed.kept} of them from before" if packed.kept else ""
    shards = f"{packed.shards:,} shard{'' if packed.shards == 1 else 's'}{kept}"
    write_out(
        f"{packed.folder}  {packed.records:,} records, {shards}, {show_size(packed.size)}, read back and verified"
    )
    return 0
