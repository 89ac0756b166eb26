"""Which tables in a folder list pictures with their labels, and of which split."""

from contextlib import closing
from pathlib import Path

from neocog.data.column_names import COMMON_TEXTS, FILE_LABELS, FILES, SPLIT, TAGS
from neocog.data.sources.class_columns import lists_labels
from neocog.data.sources.class_list_files import is_listed
from neocog.data.sources.folder import SPLIT_NAMES, class_folders, hidden
from neocog.data.sources.multi_label import marked
from neocog.data.tables import is_table, read_columns, read_rows
from neocog.errors import DataError

__all__ = ["find_tables", "holds_tables", "names_pictures"]

Tables = dict[str, Path]
"""A list for each split, or {"all": the list}."""


def holds_tables(folder: Path) -> bool:
    """Whether there is a list at all."""
    return bool(lists_in(folder) or lists_of_splits(folder))


def find_tables(folder: Path) -> Tables:
    """The lists of a folder. Raises DataError where none is there, or what is there can be read in two ways."""
    ways: list[Tables] = []
    by_split: dict[str, list[Path]] = {}
    for table in lists_in(folder):
        split = SPLIT_NAMES.get(table.stem.lower())
        if split:
            by_split.setdefault(split, []).append(table)
        else:
            ways.append({"all": table})
    for found in (by_split, lists_of_splits(folder)):
        for twins in found.values():
            if len(twins) > 1:
                raise two_ways(folder, twins)
        if found:
            ways.append({split: found[split][0] for split in ("train", "val", "test") if split in found})
    if len(ways) > 1:
        raise two_ways(folder, [table for way in ways for table in way.values()])
    if not ways:
        raise DataError(
            f"{folder} holds no list of pictures: a .csv, .tsv or .jsonl file with a column for the file "
            f"({', '.join(FILES)}) and one for the label ({', '.join((*FILE_LABELS, *TAGS))}). Add it, or rename "
            "columns."
        )
    return ways[0]


def two_ways(folder: Path, tables: list[Path]) -> DataError:
    shown = ", ".join(str(table.relative_to(folder)) for table in tables)
    return DataError(
        f"{folder} can be read in {len(tables)} ways: {shown} all list pictures with labels. Give the path of the one "
        "that is meant, or move the others away."
    )


def lists_in(folder: Path) -> list[Path]:
    """The tables directly in a folder that name pictures and labels."""
    return [path for path in sorted(folder.iterdir()) if not hidden(path.name) and names_pictures(path)]


def lists_of_splits(folder: Path) -> dict[str, list[Path]]:
    """The tables called `metadata` in the folders of the splits."""
    found: dict[str, list[Path]] = {}
    for place in class_folders(folder):
        split = SPLIT_NAMES.get(place.name.lower())
        tables = [table for table in lists_in(place) if table.stem.lower() == "metadata"] if split else []
        if split and tables:
            found.setdefault(split, []).extend(tables)
    return found


def names_pictures(path: Path) -> bool:
    """Whether a table's header and first row are those of a list of pictures."""
    if not is_table(path):
        return False
    try:
        columns = read_columns(path)
    except DataError:
        return False
    called = {column.lower() for column in columns}
    if not lists_labels(columns):
        return False
    try:
        with closing(read_rows(path)) as rows:
            first = next(rows)
        if not called & {*FILE_LABELS, *TAGS}:
            marked(first, [column for column in columns if column.lower() not in (*FILES, SPLIT)], str(path))
    except DataError:  # with these columns it is a damaged list, which says where when it is opened
        return bool(called & {*FILE_LABELS, *TAGS}) and not called & {*COMMON_TEXTS}
    return any(is_listed(path, first.values[column]) for column in columns if column.lower() in FILES)
