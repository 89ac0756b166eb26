"""Which files of a folder are the data set, and which a library left beside it.

`datasets` lists the files of a saved data set in state.json, and keeps later results in cache-*.arrow beside them;
Spark and others write marks and checksums; a download that is not finished has a name of its own.
Source: `datasets`, Dataset.save_to_disk and Dataset.load_from_disk; Spark and pyarrow, which ignore names that begin
with _ or a dot.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from neocog.dataset.files import hidden
from neocog.errors import DataError, some
from neocog.shards.contents import MAX_TEXT
from neocog.shards.store import LocalStore, Store

__all__ = ["CACHE", "LISTS", "SPLITS", "Kept", "choose_files", "count_names", "is_leftover"]

CACHE = re.compile(r"(cache-[0-9a-f]+|tmp[a-z0-9_]+)(_\d{5}_of_\d{5})?\.arrow")
"""The names that `datasets` gives to the results of map, filter and shuffle."""
COPY = re.compile(r"(.+?)(?: ?\(\d+\)| - Copy(?: \(\d+\))?| copy(?: \d+)?)\.(tar|parquet|arrow)")
STATE, SPLITS, INFO = "state.json", "dataset_dict.json", "dataset_info.json"
LISTS = (STATE, SPLITS, INFO)
PREPARED = r".+-{}(-\d{{5}}-of-\d{{5}})?\.arrow"
"""A file of the cache that load_dataset fills, by the name of its split."""
UNFINISHED = (".tmp", ".part", ".partial", ".incomplete", ".crdownload", ".download", ".filepart", ".aria2")
BESIDE = frozenset(
    {".json", ".txt", ".md", ".rst", ".html", ".pdf", ".license", ".yaml", ".yml", ".toml", ".ini", ".py", ".sh"}
    | {".log", ".info", ".crc", ".md5", ".sha1", ".sha256", ".lock", ".idx", ".index", ".metadata", ".npy"}
)
"""Suffixes of files beside shards that are never data: descriptions, checksums, indices."""
TABLES = {"_delta_log": "a Delta table", ".hoodie": "a Hudi table", "metadata": "an Iceberg table"}


@dataclass(frozen=True, slots=True)
class Kept:
    """The files of the data set, the splits that a library wrote down, and notices of the files that are left out."""

    names: tuple[str, ...]
    words: dict[str, str] = field(default_factory=dict)
    """The name of a file's split."""
    notices: tuple[str, ...] = ()


def choose_files(store: Store, everything: Sequence[str], shards: Sequence[str]) -> Kept:
    """The shards without a library's leftovers. Raises DataError for a set that only its library can read."""
    check_tables(store, everything)
    if SPLITS in everything and (splits := read_saved_splits(store)) is not None:
        listed = {name: split for split in splits for name in read_saved_files(store, f"{split}/") or ()}
        return Kept(tuple(listed), listed, tell_unlisted([s for s in shards if s not in listed], SPLITS))
    kept: list[str] = []
    words: dict[str, str] = {}
    notices: list[str] = []
    for folder, names in group_by_folder(shards).items():
        saved = read_saved_files(store, folder) if f"{folder}{STATE}" in everything else None
        if saved is not None:
            found = saved
            notices += tell_unlisted([name for name in names if name not in saved], f"{folder}{STATE}")
        else:
            copied = set(find_copies(store, names))
            found = [name for name in names if not is_leftover(name) and name not in copied]
            found = found or (names if len(names) == 1 else [])
            left = [name for name in names if name not in found]
            if left:
                what = "files that a library left beside the data, or that are copies, are not read"
                notices.append(f"{what}: {count_names(left)}")
            if f"{folder}{INFO}" in everything:
                words |= read_prepared_splits(store, folder, found)
        kept += found
    return Kept(tuple(kept), words, (*notices, *tell_strangers(everything, shards)))


def check_tables(store: Store, everything: Sequence[str]) -> None:
    """Raises DataError for a table whose log says which of its files are current and which were deleted."""
    for folder, what in TABLES.items():
        there = any(name.startswith(folder + "/") for name in everything)
        inside = [name for name in everything if name.startswith(folder + "/")]
        if isinstance(store, LocalStore) and (store.path / folder).is_dir():
            there, inside = True, [path.name for path in (store.path / folder).iterdir()]
        if there and (folder != "metadata" or any(name.endswith(".metadata.json") for name in inside)):
            rule = f"{store.root} is {what}: only its log in {folder} says which files are current; it is not read."
            raise DataError(rule, fix="Write the current rows to Parquet files in another folder.")


def read_saved_splits(store: Store) -> list[str] | None:
    """The splits that DatasetDict.save_to_disk noted; None for another file of this name."""
    splits = read_object(store, SPLITS).get("splits")
    if not isinstance(splits, list) or not all(isinstance(split, str) and is_name(split) for split in splits):
        return None
    return splits


def read_saved_files(store: Store, folder: str) -> list[str] | None:
    """The files that Dataset.save_to_disk noted, below the store; None for another file of the name state.json."""
    state = read_object(store, f"{folder}{STATE}")
    files = state.get("_data_files")
    if not isinstance(files, list):
        return None
    where = f"{store.root}/{folder}{STATE}"
    if state.get("_indices_data_files") or any(isinstance(f, dict) and f.keys() & {"skip", "take"} for f in files):
        rule = f"{where} selects rows of its files by a list of indices, as early versions of `datasets` did."
        raise DataError(rule, fix="Open it with datasets.load_from_disk and save it again.")
    names = [file.get("filename") if isinstance(file, dict) else None for file in files]
    if not all(isinstance(name, str) and is_name(name) for name in names):
        rule, fix = "A saved data set lists files beside its list.", "Save the data set again."
        raise DataError(rule, received=str(files)[:100], where=where, fix=fix)
    if isinstance(store, LocalStore):
        absent = [name for name in names if not (store.path / folder / str(name)).is_file()]
        if absent:
            rule = f"{where} lists {len(names)} files, of which {len(absent)} are missing: {some(absent)}."
            raise DataError(rule, fix="Fetch them, or save the data set again.")
    return [f"{folder}{name}" for name in names]


def read_prepared_splits(store: Store, folder: str, names: list[str]) -> dict[str, str]:
    """The split of each file in the cache of load_dataset, as dataset_info.json knows them: imdb-train.arrow."""
    splits = read_object(store, f"{folder}{INFO}").get("splits")
    found: dict[str, str] = {}
    for split in splits if isinstance(splits, dict) else ():
        wanted = re.compile(PREPARED.format(re.escape(str(split))))
        found |= {name: split for name in names if wanted.fullmatch(PurePosixPath(name).name)}
    return found if len(found) == len(names) else {}


def read_object(store: Store, name: str) -> dict[str, Any]:
    """A JSON object; empty for other JSON. Raises DataError if it is damaged."""
    try:
        found = json.loads(store.read(name, 0, MAX_TEXT))
    except (ValueError, RecursionError) as error:
        rule = f"{store.root}/{name}, which says which files are the data set, is damaged: {str(error)[:100]}."
        raise DataError(rule, fix="Fetch it again.") from error
    return found if isinstance(found, dict) else {}


def is_name(text: str) -> bool:
    """Whether this is the name of a file or a folder, not a path."""
    return text not in ("", ".", "..") and not set(text) & set("/\\")


def is_leftover(name: str) -> bool:
    """
    >>> is_leftover("cache-6c45f819c6f9f7d0.arrow"), is_leftover("train/_metadata.parquet"), is_leftover("a.arrow")
    (True, True, False)
    """
    base = PurePosixPath(name).name
    return CACHE.fullmatch(base) is not None or base.startswith("_")


def find_copies(store: Store, names: Sequence[str]) -> Iterator[str]:
    """Files named as copies of one beside them, and of its size: a browser's or a file manager's."""
    there = set(names)
    for name in names:
        match = COPY.fullmatch(name)
        original = f"{match[1]}.{match[2]}" if match else ""
        if original in there and store.stat(original).size == store.stat(name).size:
            yield name


def tell_unlisted(names: list[str], by: str) -> tuple[str, ...]:
    """A notice of files that the list of a saved data set does not name."""
    return (f"files that {by} does not list are not read: {count_names(names)}",) if names else ()


def tell_strangers(everything: Sequence[str], shards: Sequence[str]) -> tuple[str, ...]:
    """Notices of files that are not shards: downloads that are not finished, other data."""
    others = sorted(set(everything) - set(shards))
    unfinished = [name for name in others if name.lower().endswith(UNFINISHED)]
    notices = (f"downloads that are not finished are not read: {count_names(unfinished)}",) if unfinished else ()
    data = [name for name in others if name not in unfinished and may_be_data(PurePosixPath(name))]
    return (*notices, f"files that are not shards are not read: {count_names(data)}") if data else notices


def may_be_data(path: PurePosixPath) -> bool:
    return bool(path.suffix) and path.suffix.lower() not in BESIDE and not hidden(path.name) and path.name[0] != "_"


def count_names(names: Sequence[str]) -> str:
    """
    >>> count_names(["a", "b", "c", "d"])
    '4 (a, b, c and 1 more)'
    """
    return f"{len(names):,} ({some(names)})"


def group_by_folder(names: Sequence[str]) -> dict[str, list[str]]:
    """Names by their folder, which ends with a slash, or is empty."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        folder, slash, _ = name.rpartition("/")
        found[folder + slash].append(name)
    return found
