"""From a path or a name to a source: find the folder in which the data starts, detect the layout, and open it."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from neocog.data.formats import COLUMNS, FORMATS, Format, recognise
from neocog.data.known import find_data
from neocog.data.python_objects import as_source
from neocog.data.unrecognised import explain_unrecognised
from neocog.dataset.class_folders import fold_folders, split_folders
from neocog.dataset.files import class_folders, hidden, is_kind, leads_back, plain_files, suffix_of
from neocog.dataset.record import Source
from neocog.dataset.targets import check_task
from neocog.errors import ConfigError, DataError, did_you_mean
from neocog.modalities.image.image_folder import is_image
from neocog.modalities.image.image_table import why_no_image_table
from neocog.shards import is_address

__all__ = ["Location", "Opened", "data_folder", "find_format", "open_source"]

BY_FOLDERS = frozenset({"image-folder", "sound-folder", "text-folder", "signal-folder"})
"""Layouts that would read the only folder of a folder as the only class."""
PURPOSES = {
    "file_column": "data.file_column names a column of a table of files",
    "text_column": "data.text_column names a column of a table of texts",
    "label_column": "data.label_column names a column of a table",
    "class_level": "data.class_level is for class folders",
    "test_fold": "data.test_fold is for class folders",
    "columns": "signal.columns names the channels of tables, and of arrays with names",
}
"""The purposes of options that only some layouts take."""

DEPTH = 3
DOCUMENTS = frozenset({".md", ".rst", ".pdf", ".html", ".htm", ".bib", ".url", ".docx", ".rtf", ".sha256", ".md5"})
DOCUMENT_NAMES = ("readme", "license", "licence", "copying", "citation", "notice", "changelog", "checksums", "md5sums")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".rar", ".7z")


def open_source(data: object, *, format: str | None = None, download: bool = False, **options: object) -> Source:
    """Open a data set by path, by name, or from Python: arrays, tensors, sets of Hugging Face or torch, a `Source`.

    The layout is recognised; `format` names it if a path can be read in two ways (`FORMATS` lists the names). With
    `download`, a known set that is missing on this machine is fetched from its official address.
    `options` are settings that only some layouts take: window, step and rate, for recordings that are cut; columns, the
    names of the channels; file_column, text_column and label_column, for tables whose columns have unusual names;
    class_level, for folders, the level of the class folders below the path; test_fold, the fold for the test. `task`
    overrules what labels are taken for: classification, multi-label or regression.
    A set whose layout has been found (`find_format`) is not searched again, and one that is `Opened` is taken as it is.
    Shards may be remote: an address such as s3://bucket/folder is opened through fsspec.
    Raises DataError if nothing is there, nothing that is recognised, or if it can be read in two ways; ConfigError for
    columns of data that is not a table, and for a task that the data can't be for.

    >>> source = open_source("mnist")
    >>> len(source), source.format, source.read(0).payload.shape
    (70000, 'idx', (28, 28))
    """
    task = None if options.get("task") is None else str(options["task"])
    held = data.source if isinstance(data, Opened) else data
    if isinstance(held, Source):
        if not isinstance(data, Opened):
            check_options(options, (), "a Python object", "arrays and lists")
        if task is not None and not (task == "segmentation" and held.task == "signal segmentation"):
            check_task(task, (held.task,), held.name)
        return held
    if not isinstance(data, str | Path | Location):
        check_options(options, (), "a Python object", "arrays and lists")
        return as_source(data, task=task)
    columns = {name: str(value) for name, value in options.items() if name in COLUMNS and value is not None}
    found = data if isinstance(data, Location) else find_format(data, format=format, download=download, columns=columns)
    layout, path = found.layout, found.path
    if task == "segmentation" and "signal segmentation" in layout.tasks:  # of signals, a task of its own
        task = "signal segmentation"
        options = {**options, "task": task}
    check_options(options, layout.options, str(path), layout.description)
    known = layout.options | ({"task"} if len(layout.tasks) > 1 else set())
    given = {name: value for name, value in options.items() if value is not None and name in known}
    if layout.tasks:
        check_task(task, layout.tasks, f"{path}, {layout.description}")
    try:
        source = layout.opens(path, **(given | columns))
    except OSError as error:  # a file in the place of a folder, or missing permission
        rule = f"{error.filename or path} can't be read as {layout.description}: {error.strerror or error}."
        raise DataError(rule, fix="Check the path and the layout.") from error
    assert source.format == layout.name, "each opener says which layout it has read"
    check_task(task, (source.task,), str(path))
    source.notices = (*found.notices, *source.notices)
    return source


def check_options(options: Mapping[str, object], known: Collection[str], where: str, what: str) -> None:
    """Raises ConfigError for an option that would be ignored."""
    for name, purpose in PURPOSES.items():
        if (value := options.get(name)) not in (None, (), []) and name not in known:
            received = f"{value!r}, for {where}, which is read as {what}"
            raise ConfigError(f"A setting must have an effect. {purpose}.", received=received, fix="Remove it.")


@dataclass(frozen=True, slots=True)
class Location:
    """The layout of a data set, and its place: a path, or an address."""

    layout: Format
    path: Path | str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A data set that is open already, to be handed on instead of its path."""

    source: Source


def find_format(
    data: str | Path, *, format: str | None = None, download: bool = False, columns: Mapping[str, str] | None = None
) -> Location:
    """Find the layout and the folder."""
    columns = columns or {}
    layouts = {layout.name: layout for layout in FORMATS}
    if format is not None and format not in layouts:
        raise DataError(f"No layout is called {format!r}.", fix=did_you_mean(format, layouts))
    if is_address(data):
        if format not in (None, "shards"):
            received = f"the layout {format!r}, for {data}"
            raise DataError("An address must be one of shards.", received=received, fix="Remove the layout.")
        check_options(columns, (), str(data), layouts["shards"].description)
        return Location(layouts["shards"], str(data))
    outer = find_data(data, download=download)
    path = data_folder(outer, format=format, columns=columns)
    found = [layouts[format]] if format else recognise(path, columns)
    if len(found) > 1:
        ways = "\n".join(f"  as {layout.description}: --data.format {layout.name}" for layout in found)
        rule = f"{path} can be read in {len(found)} ways."
        raise DataError(rule, fix=f"Choose one, or move the others away:\n{ways}")
    for layout in found or recognise(path)[:1]:
        check_options(columns, layout.options, str(path), layout.description)
    if not found or (format is None and is_unread_table(path, found, columns)):
        raise explain_unrecognised(path, columns)
    notices = () if path == outer else (f"the data set is read from {path}, because {outer} holds nothing else",)
    return Location(found[0], path, notices)


def is_unread_table(path: Path, found: list[Format], columns: Mapping[str, str]) -> bool:
    """Whether images are of one class only because the table beside them could not be read as their list."""
    return (
        [layout.name for layout in found] == ["image-folder"]
        and len(class_folders(path)) == 1
        and not split_folders(path, class_folders(path))
        and why_no_image_table(path, **columns) is not None
        and any(map(is_image, plain_files(class_folders(path)[0])))
    )


def data_folder(path: Path, *, format: str | None = None, columns: Mapping[str, str] | None = None) -> Path:
    """The path itself, or the folder within it in which the data starts.

    The inner folder is taken if it is all that its folder holds, and has a layout, while the outer folder has none, or
    would be of one class, or would miss the splits within.
    """
    inner = innermost(path) if path.is_dir() else path
    if inner == path:
        return path
    names = {layout.name for layout in recognise(path, columns)}
    within = {layout.name for layout in recognise(inner, columns)}
    wanted = within if format is None else within & {format}
    return inner if wanted and (names <= BY_FOLDERS or names_split(inner)) else path


def innermost(path: Path) -> Path:
    """The folder below a path up to which each folder holds one other and nothing else that is data.

    A folder that holds a split is the last. It is the path itself if there are more than `DEPTH` on the way.
    """
    place = path
    for _ in range(DEPTH + 1):
        inner = only_folder(place)
        if inner is None or names_split(place):
            return place
        place = inner
    return path


def only_folder(folder: Path) -> Path | None:
    """The only folder in a folder, if there is no file beside it but documents, or the archive that it came in."""
    found: Path | None = None
    archives = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:  # left at the first that decides: there may be very many
                if hidden(entry.name) or is_document(entry.name):
                    continue
                if is_kind(entry.is_dir) and found is None and not leads_back(Path(entry.path)):
                    found = Path(entry.path)
                elif entry.name.lower().endswith(ARCHIVES) and not is_kind(entry.is_dir):
                    archives.append(entry.name)
                else:
                    return None
    except OSError:
        return None
    return found if found and all(name.startswith(f"{found.name}.") for name in archives) else None


def is_document(name: str) -> bool:
    """Whether a file tells people about the data.

    >>> is_document("README.txt"), is_document("classes.txt")
    (True, False)
    """
    return name.lower().startswith(DOCUMENT_NAMES) or suffix_of(name) in DOCUMENTS


def names_split(folder: Path) -> bool:
    """Whether folders in a folder are splits, or folds."""
    folders = class_folders(folder)
    try:
        return bool(split_folders(folder, folders) or fold_folders(folders))
    except DataError:
        return True
