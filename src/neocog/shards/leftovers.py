"""Which files of a folder are the data set, and which a library left beside it.

`datasets` lists the files of a saved data set in state.json, and keeps later results in cache-*.arrow beside them;
Spark and others write marks and checksums; a download that is not finished has a name of its own.
Source: `datasets`, Dataset.save_to_disk and Dataset.load_from_disk; Spark and pyarrow, which ignore names that begin
with _ or a dot.
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from neocog.dataset.files import hidden
from neocog.errors import DataError, some
from neocog.shards.contents import MAX_TEXT
from neocog.shards.store import LocalStore, Store

__all__ = ["CACHE", "LISTS", "SPLITS", "Kept", "choose_files", "count_names", "is_leftover", "tell", "tell_unread"]

CACHE = re.compile(r"(cache-[0-9a-f]+|tmp[a-z0-9_]+)(_\d{5}_of_\d{5})?\.arrow")
"""The names that `datasets` gives to the results of map, filter and shuffle."""
COPY = re.compile(r"(.+?)(?: ?\(\d+\)| - Copy(?: \(\d+\))?| copy(?: \d+)?)\.(tar|parquet|arrow)")
STATE, SPLITS, INFO = "state.json", "dataset_dict.json", "dataset_info.json"
LISTS = (STATE, SPLITS, INFO)
UNLISTED = "files that {} does not list are not read"
PREPARED = r".+-{}(-\d{{5}}-of-\d{{5}})?\.arrow"  # a file in the cache of load_dataset, by its split
UNFINISHED = (".tmp", ".part", ".partial", ".incomplete", ".crdownload", ".download", ".filepart", ".aria2")
BESIDE = frozenset(
    {".json", ".txt", ".md", ".rst", ".html", ".pdf", ".license", ".yaml", ".yml", ".toml", ".ini", ".py", ".sh"}
    | {".log", ".info", ".crc", ".md5", ".sha1", ".sha256", ".lock", ".idx", ".index", ".metadata", ".npy"}
)  # suffixes of files beside shards that are never data: descriptions, checksums, indices
TABLES = {"_delta_log": "a Delta table", ".hoodie": "a Hudi table", "metadata": "an Iceberg table"}


@dataclass(frozen=True, slots=True)
class Kept:
    """The files of the data set, the splits that a library wrote down, and notices of the files that are left out."""

    names: tuple[str, ...]
    words: dict[str, str] = field(default_factory=dict)  # the name of a file's split
    notices: tuple[str, ...] = ()


def choose_files(store: Store, everything: Sequence[str], shards: Sequence[str]) -> Kept:
    """The shards without a library's leftovers. Raises DataError for a set that only its library can read."""
    check_tables(store, everything)
    if SPLITS in everything and (splits := read_saved_splits(store)) is not None:
        listed = {name: split for split in splits for name in read_saved_files(store, f"{split}/") or ()}
        return Kept(tuple(listed), listed, tell_unread(UNLISTED.format(SPLITS), [s for s in shards if s not in listed]))
    kept: list[str] = []
    words: dict[str, str] = {}
    notices: tuple[str, ...] = ()
    folders: dict[str, list[str]] = defaultdict(list)
    for name in shards:
        folders[name[: name.rfind("/") + 1]].append(name)
    for folder, names in folders.items():
        found = read_saved_files(store, folder) if f"{folder}{STATE}" in everything else None
        what = UNLISTED.format(f"{folder}{STATE}")
        if found is None:
            what = "files that a library left beside the data, or that are copies, are not read"
            copied = set(find_copies(store, names))
            found = [name for name in names if not is_leftover(name) and name not in copied]
            found = found or (names if len(names) == 1 else [])
            if f"{folder}{INFO}" in everything:
                words |= read_prepared_splits(store, folder, found)
        notices += tell_unread(what, [name for name in names if name not in found])
        kept += found
    others = sorted(set(everything) - set(shards))
    unfinished = [name for name in others if name.lower().endswith(UNFINISHED)]
    notices += tell_unread("downloads that are not finished are not read", unfinished)
    paths = [PurePosixPath(name) for name in others if name not in unfinished]
    named = [path for path in paths if path.suffix and not hidden(path.name) and path.name[0] != "_"]
    data = [str(path) for path in named if path.suffix.lower() not in BESIDE]
    return Kept(tuple(kept), words, notices + tell_unread("files that are not shards are not read", data))


def check_tables(store: Store, everything: Sequence[str]) -> None:
    """Raises DataError for a table whose log says which of its files are current and which were deleted."""
    for folder, what in TABLES.items():
        inside = [name for name in everything if name.startswith(folder + "/")]
        there = bool(inside)
        if isinstance(store, LocalStore) and (store.path / folder).is_dir():
            there, inside = True, [path.name for path in (store.path / folder).iterdir()]
        if there and (folder != "metadata" or any(name.endswith(".metadata.json") for name in inside)):
            rule = f"{store.root} is {what}: only its log in {folder} says which files are current; it is not read."
            raise DataError(rule, fix="Write the current rows to Parquet files in another folder.")


def read_saved_splits(store: Store) -> list[str] | None:
    """The splits that DatasetDict.save_to_disk noted; None for another file of this name."""
    splits = read_object(store, SPLITS).get("splits")
    return splits if isinstance(splits, list) and all(map(is_name, splits)) else None


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
    if not all(map(is_name, names)):
        rule, fix = "A saved data set lists files beside its list.", "Save the data set again."
        raise DataError(rule, received=str(files)[:100], where=where, fix=fix)
    local = store.path / folder if isinstance(store, LocalStore) else None
    if local and (absent := [name for name in names if not (local / str(name)).is_file()]):
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


def is_name(text: object) -> bool:
    """Whether this is the name of a file or a folder, not a path."""
    return isinstance(text, str) and text not in ("", ".", "..") and not set(text) & set("/\\")


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


def tell(sentence: str, items: Collection[object]) -> tuple[str, ...]:
    """A notice with the first of these; none if there are none."""
    return (f"{sentence}: {some(items)}",) if items else ()


def tell_unread(sentence: str, names: Sequence[str]) -> tuple[str, ...]:
    return (f"{sentence}: {count_names(names)}",) if names else ()


def count_names(names: Sequence[str]) -> str:
    """
    >>> count_names(["a", "b", "c", "d"])
    '4 (a, b, c and 1 more)'
    """
    return f"{len(names):,} ({some(names)})"
