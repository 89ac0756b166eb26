"""The files to predict, one after the other and in a fixed order, without all of them in memory.

A folder is gone through depth first, its entries by name. This is the order of sorted paths, and memory holds only the
names within the folders on the way down to the current one.
"""

import csv
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from neocog.dataset.files import MAX_LINKS, hidden, leads_back, suffix_of
from neocog.errors import ConfigError, DataError, some
from neocog.shards.store import import_package

__all__ = ["list_inputs", "read_list", "walk_sorted"]

COLUMN_NAMES = ("file", "path", "filename", "file_name", "filepath", "file_path", "image", "image_path")
"""Columns that name files, the likeliest first."""
ROWS = 65_536  # of a Parquet file that are read at once
CHUNK = 2**20  # bytes of a list


def list_inputs(
    files: Sequence[str],
    listed: Path | None,
    suffixes: Collection[str],
    others: Counter[str],
    leave_out: Collection[str] = (),
) -> Iterator[str]:
    """The paths of files, of the files below folders, and of a list, in this order.

    Files with other suffixes are left out of folders, and counted in `others`; paths in `leave_out` and all below them
    too. Raises DataError for a folder or a list that can't be read.
    """
    for name in files:
        if Path(name).is_dir():
            yield from walk_sorted(name, suffixes, others, leave_out)
        else:
            yield name
    if listed is not None:
        yield from read_list(listed)


def walk_sorted(
    folder: str, suffixes: Collection[str], others: Counter[str], leave_out: Collection[str] = ()
) -> Iterator[str]:
    """The files with these suffixes at any depth, in the order of `dataset.files.list_files`, links followed."""
    root, links = str(Path(folder)), 0
    open_folders = [iter(entries_of("" if root == "." else root, suffixes, others, leave_out))]
    while open_folders:
        for path, is_folder, is_link in open_folders[-1]:
            if not is_folder:
                yield path
                continue
            links += is_link
            if links > MAX_LINKS:
                rule = f"At most {MAX_LINKS:,} links to folders are followed. {folder} has more."
                raise DataError(rule, fix="Put the files themselves there.")
            open_folders.append(iter(entries_of(path, suffixes, others, leave_out)))
            break
        else:
            open_folders.pop()


def entries_of(
    folder: str, suffixes: Collection[str], others: Counter[str], leave_out: Collection[str]
) -> list[tuple[str, bool, bool]]:
    """Path, whether it is a folder, whether it is a link to one; of the entries to take, by name."""
    found = []
    try:
        with os.scandir(folder or ".") as entries:
            for entry in entries:
                path = os.path.join(folder, entry.name)  # noqa: PTH118 (a Path takes several times as long)
                if hidden(entry.name) or path in leave_out:
                    continue
                kind = kind_of(entry)
                if kind == "folder":
                    link = entry.is_symlink()
                    if not link or not leads_back(Path(path)):
                        found.append((path, True, link))
                elif kind == "other":
                    others["broken links or pipes"] += 1
                elif suffix_of(entry.name) in suffixes:
                    found.append((path, False, False))
                else:
                    others[suffix_of(entry.name)] += 1
    except OSError as error:
        raise DataError(
            f"{folder} can't be read: {error.strerror or error}.",
            fix="Allow it to be read, or name the files with --list.",
        ) from error
    return sorted(found)


def kind_of(entry: "os.DirEntry[str]") -> str:
    """`folder`, `file`, or `other` for a pipe, a socket or a link to nothing."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
    except OSError:  # a link to itself
        return "other"


def read_list(path: Path) -> Iterator[str]:
    """The paths in a list: a text file with one on each line, or with NUL behind each, as `find -print0` writes; or a
    column of a .parquet, .csv or .tsv file.

    A column is recognised by its name (`file`, `path`, ...), or it is the only one. Relative paths start at the current
    folder. Raises DataError for a list that can't be read.
    """
    try:
        if path.suffix.lower() == ".parquet":
            yield from parquet_column(path)
        elif path.suffix.lower() in (".csv", ".tsv"):
            yield from csv_column(path)
        else:
            with path.open("rb") as file:
                for line in split_lines(file):
                    if line.strip():
                        yield os.fsdecode(line)
    except OSError as error:
        raise DataError(f"The list {path} can't be read: {error.strerror or error}.", fix="Check the path.") from error


def split_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, or the parts between NUL bytes if it has any, without their ends."""
    start = file.read(CHUNK)
    file.seek(0)
    if b"\0" not in start:
        yield from (line.rstrip(b"\r\n") for line in file)
        return
    rest = b""
    while chunk := file.read(CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    yield rest


def csv_column(path: Path) -> Iterator[str]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
        rows = csv.reader(file, delimiter=delimiter)
        names = next(rows, [])
        place = names.index(choose_column(names, path))
        for row in rows:
            if row:
                if len(row) <= place:
                    raise DataError("Each row names a file.", received=repr(row), where=f"{path}, line {rows.line_num}")
                yield row[place]


def parquet_column(path: Path) -> Iterator[str]:
    parquet = import_package("pyarrow.parquet", path)
    try:
        file = parquet.ParquetFile(path)
        column = choose_column(file.schema_arrow.names, path)
        for batch in file.iter_batches(ROWS, columns=[column]):
            yield from map(str, batch.column(0).to_pylist())
    except ValueError as error:  # pyarrow.ArrowInvalid
        raise DataError(f"The list {path} is not a valid Parquet file: {error}.", fix="Write it again.") from error


def choose_column(names: Iterable[str], path: Path) -> str:
    """The column that names files. Raises ConfigError if none can be told."""
    names = list(names)
    known = [name for name in COLUMN_NAMES if name in names]
    if known or len(names) == 1:
        return (known or names)[0]
    raise ConfigError(
        "A list needs a column that names the files.", received=some(names, 8) or "no columns", where=str(path),
        fix=f"Call it {COLUMN_NAMES[0]}.",
    )  # fmt: skip
