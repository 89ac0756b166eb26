"""Which tables in a folder list pictures with their labels, and of which split."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from neocog.dataset.class_columns import lists_labels
from neocog.dataset.column_names import COMMON_TEXTS, FILE_LABELS, FILES, SPLIT, TAGS, UNNAMED, Asked
from neocog.dataset.folders import class_folders, hidden
from neocog.dataset.multi_label import marked
from neocog.dataset.split_names import split_meant
from neocog.dataset.tables import Row, is_table, read_columns, read_rows
from neocog.errors import DataError
from neocog.modalities.image.folder import is_picture
from neocog.modalities.image.image_table_files import is_listed

__all__ = ["asked_by_place", "find_tables", "first_row", "holds_tables", "names_pictures"]

Tables = dict[str, Path]
"""A list for each split, or {"all": the list}."""


def holds_tables(folder: Path, asked: Asked = UNNAMED) -> bool:
    """Whether there is a list at all."""
    return bool(lists_in(folder, asked) or lists_of_splits(folder, asked))


def find_tables(folder: Path, asked: Asked = UNNAMED) -> Tables:
    """The lists of a folder. Raises DataError where none is there, or what is there can be read in two ways."""
    ways: list[Tables] = []
    by_split: dict[str, list[Path]] = {}
    for table in lists_in(folder, asked):
        split = split_meant(table.stem)
        if split:
            by_split.setdefault(split, []).append(table)
        else:
            ways.append({"all": table})
    for found in (by_split, lists_of_splits(folder, asked)):
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


def lists_in(folder: Path, asked: Asked) -> list[Path]:
    """The tables directly in a folder that name pictures and labels."""
    return [path for path in sorted(folder.iterdir()) if not hidden(path.name) and names_pictures(path, asked)]


def lists_of_splits(folder: Path, asked: Asked) -> dict[str, list[Path]]:
    """The tables called `metadata` in the folders of the splits."""
    found: dict[str, list[Path]] = {}
    for place in class_folders(folder):
        split = split_meant(place.name)
        tables = [table for table in lists_in(place, asked) if table.stem.lower() == "metadata"] if split else []
        if split and tables:
            found.setdefault(split, []).extend(tables)
    return found


def names_pictures(path: Path, asked: Asked = UNNAMED) -> bool:
    """Whether a table's header and first row are those of a list of pictures."""
    if not is_table(path):
        return False
    try:
        columns = read_columns(path)
        asked = asked_by_place(path, columns, asked)
    except DataError:
        return False
    called = {column.lower() for column in columns}
    if not lists_labels(columns, asked):
        return False
    labelled = bool(asked.label or called & {*FILE_LABELS, *TAGS})
    try:
        first = first_row(path)
        if not labelled:
            marked(first, [column for column in columns if column.lower() not in (*FILES, SPLIT)], str(path))
    except DataError:  # with these columns it is a damaged list, which says where when it is opened
        return labelled and not called & {*COMMON_TEXTS}
    files = {asked.file.lower()} if asked.file else {*FILES}
    return any(is_listed(path, value) for column, value in first.values.items() if column.lower() in files)


def asked_by_place(path: Path, columns: Sequence[str], asked: Asked = UNNAMED) -> Asked:
    """What the columns of a table without a header mean, if that is certain: of two, the one that holds pictures."""
    if asked != UNNAMED or tuple(columns) != ("0", "1"):
        return asked
    cells = first_row(path).values
    files = [column for column in columns if is_picture(Path(str(cells[column])))]
    return Asked(file=files[0], label="1" if files[0] == "0" else "0") if len(files) == 1 else asked


def first_row(path: Path) -> Row:
    """The first row below the header. Raises DataError as `read_rows`."""
    with closing(read_rows(path)) as rows:
        return next(rows)
