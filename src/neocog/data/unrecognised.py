"""Why a path can't be read as a data set: the reason of the layout that almost fits, else what lies there."""

import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from neocog.data.formats import FORMATS
from neocog.dataset.class_files import first_file
from neocog.dataset.column_names import TIME_LABELS, TIMES
from neocog.dataset.dialect import SEPARATORS, find_dialect
from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.files import class_folders, plain_files, walk
from neocog.dataset.tables import first_row, is_table, read_columns
from neocog.errors import DataError, some

__all__ = ["explain_unrecognised"]

LOOKED_AT = 10_000  # files of a folder
UNPACK = "Unpack it, and give the folder that it makes"
EXPORT = "Save it as CSV (UTF-8), one sheet with a line of column names, and give that file"
SAVE_NPZ = "Save the arrays as x and y: numpy.savez('data.npz', x=x, y=y)"
UNPICKLED = (
    "Nothing is unpickled, since that runs code. Load it in the program that wrote it, and save it in an open format: "
    ".npz, .csv, or files in a folder for each class"
)
FOREIGN = {
    **dict.fromkeys((".zip", ".rar", ".7z", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar"),
                    ("an archive", UNPACK)),
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst"), ("compressed", "Uncompress it")),
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"), ("a spreadsheet", EXPORT)),
    **dict.fromkeys((".mat", ".h5", ".hdf5", ".nc", ".rds", ".rdata", ".sav", ".dta"),
                    ("a file of arrays or tables of another program", SAVE_NPZ)),
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill"), ("a file of pickled objects", UNPICKLED)),
    **dict.fromkeys((".tfrecord", ".tfrecords", ".rec", ".lmdb", ".mdb", ".db", ".sqlite", ".feather", ".avro", ".orc"),
                    ("a database or stream of another program",
                     "Write its samples as tar or Parquet shards, or as files in a folder for each class")),
    ".json": ("a JSON file", "A table has one JSON object on each line: save it as .jsonl"),
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".webm"),
                    ("a video", "Extract frames: ffmpeg -i VIDEO -vf fps=1 CLASS/%06d.png")),
    **dict.fromkeys((".docx", ".doc", ".odt", ".rtf", ".pdf"), ("a document", "Save its text as .txt, UTF-8")),
}  # fmt: skip
UNREAD_IMAGES = frozenset({
    ".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".psd", ".svg", ".dcm",
    ".nii", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raw", ".ico", ".exr", ".hdr", ".fits",
})  # fmt: skip
UNNAMED_TABLES = frozenset({"", ".txt", ".dat", ".data", ".tab", ".text", ".asc"})
"""Suffixes of tables beside .csv and .tsv."""
UNREAD_AUDIO = frozenset({".m4a", ".aac", ".wma", ".aif", ".aiff", ".opus", ".amr", ".au", ".3gp"})
NOUNS = {"image": "image", "audio": "sound", "text": "text"}


def explain_unrecognised(path: Path, columns: Mapping[str, str]) -> DataError:
    """An error that begins with the reason, if there is one."""
    able = [layout.nearly for layout in FORMATS if layout.nearly and columns.keys() <= layout.options]
    reasons = [reason for nearly in able if (reason := nearly(path, **columns))]
    if not reasons and (reason := explain_folder(path) if path.is_dir() else explain_file(path)):
        reasons = [reason]
    if reasons:
        return DataError("\n".join(dict.fromkeys(reasons)), fix="All layouts are in docs/data.md.")
    inside = sorted(entry.name for entry in path.iterdir())[:5] if path.is_dir() else []
    holds = f", which holds {', '.join(inside)}{' ...' if len(inside) == 5 else ''}" if inside else ""
    layouts = f"one of the other layouts that docs/data.md shows: {', '.join(layout.name for layout in FORMATS)}"
    rule = f"No known layout of a data set is recognised at {path}{holds}."
    return DataError(rule, fix=f"Put images at FOLDER/CLASS/*.png, or use {layouts}.")


def explain_file(path: Path) -> str | None:
    """Say what a single file is, and what to give instead."""
    if not path.is_file():
        return None
    if not path.stat().st_size:
        return f"{path} is empty. Give a file or a folder that holds data."
    kind = type_of(path.name)
    if is_table(path):
        return explain_numbers(path)
    if kind in FOREIGN:
        what, fix = FOREIGN[kind]
        return f"{path} is {what} ({kind}), which is not read. {fix}."
    above = "the folder above the class folders"
    if kind in UNREAD_IMAGES | UNREAD_AUDIO:
        what, fix = convert(kind)
        return f"{path} is {what} of a type that is not read ({kind}). {fix}, and give {above}."
    if kind in UNNAMED_TABLES and (separated := separator_of(path)):
        received = f"{path}, with columns separated by {separated}"
        return f"A table is called .csv, .tsv or .jsonl. Received: {received}. Rename it."
    for modality, what in NOUNS.items():
        if kind in SUFFIXES[modality]:
            return f"{path} is a single {what}. A data set has many of them: FOLDER/CLASS/*{kind}. Give {above}."
    return None


def separator_of(path: Path) -> str | None:
    """The name of what separates the columns of a text, if it is a table."""
    with path.open("rb") as file:
        raw = file.read(LOOKED_AT + 1)
    lines = [line for line in raw[:LOOKED_AT].decode(errors="replace").splitlines() if line.strip()]
    lines = lines[:-1] if len(raw) > LOOKED_AT else lines  # the last may be cut
    for sign, name in SEPARATORS.items():
        counts = {line.count(sign) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts != {0}:
            return name
    return None


def explain_numbers(table: Path) -> str | None:
    """Why a table that holds neither texts nor names of images is not read."""
    try:
        columns = read_columns(table)
    except DataError as error:
        return str(error)
    shown, times, labels = some(columns, 8), ", ".join(TIMES), ", ".join(TIME_LABELS)
    if not find_dialect(table).has_header:
        received = f"{shown} by their place, because the first line of {table} looks like values"
        fix = f"Add a line such as {TIMES[0]},x,y,{TIME_LABELS[0]} above it."
        return f"A recording begins with the names of its columns. Received: {received}. {fix}"
    return (
        f"A recording has the time in its first column ({times}) and the label in its last ({labels}). Received: the "
        f"columns {shown}, in {table}. Rename them, if it is one. Tabular data, with a sample in each row and a "
        "quantity in each column as input, are not supported."
    )


def explain_folder(path: Path) -> str | None:
    """Say what a folder holds that is not a data set, and what to do about it."""
    if not any(path.iterdir()):
        return f"{path} is empty. Put images at {path}/train/CLASS/*.png or {path}/CLASS/*.png, or use another layout."
    files = plain_files(path)
    tables = [file for file in files if is_table(file)]
    if len(tables) == 1 or (tables and len(tables) == len(files)):
        return explain_numbers(tables[0])
    direct = Counter(type_of(file.name) for file in files)
    for modality, what in NOUNS.items():
        kinds = [kind for kind in direct if kind in SUFFIXES[modality]]
        count = sum(direct[kind] for kind in kinds)
        if count > 1 or (count and len(direct) == 1):
            return explain_flat(path, f"{what}s", count, kinds[0])
    found = Counter(type_of(entry.name) for entry in itertools.islice(walk(path, follow=False), LOOKED_AT))
    if not found:
        received = some(folder.name for folder in class_folders(path)) or "none"
        return f"{path} holds folders, but no file in them. Received: {received}. Put each class's files there."
    if table := first_file(path, {".csv", ".tsv"}):
        return explain_signal(table)
    if set(found) == {""}:
        received = f"{found['']:,} files without one in {path}, such as {next(walk(path, follow=False)).path}"
        rule = "Files are told apart by the ends of their names, such as .png, .wav or .txt."
        return f"{rule} Received: {received}. Rename them."
    for kind, count in found.most_common():
        if kind in UNREAD_IMAGES | UNREAD_AUDIO:
            what, fix = convert(kind)
            return f"{path} holds {what.split()[-1]}s of a type that is not read. Received: {count:,} {kind}. {fix}."
        if kind in FOREIGN:
            what, fix = FOREIGN[kind]
            return f"{path} holds no readable file. Received: {count:,} {kind}: {what}. {fix}."
    return None


def explain_signal(table: Path) -> str:
    """Why a table in a class folder is not a signal."""
    try:
        cells = first_row(table).values
    except DataError as error:
        return str(error)
    shown = some((repr(str(value)[:40]) for value in cells.values()), 4)
    rule = "A table in a class folder is a signal: a .csv file of numbers, with columns separated by "
    fix = "Save it so; texts are read from one table for all classes, or from .txt files."
    return f"{rule}{', '.join(SEPARATORS.values())}. Received: {shown}, the first row of {table}. {fix}"


def explain_flat(path: Path, what: str, count: int, kind: str) -> str:
    """Why files without folders have no classes."""
    table = " Or list them in a table beside them: file,label." if what == "images" else ""
    folders = some(folder.name for folder in class_folders(path))
    inner = f"and no {what} in its folders ({folders})" if folders else "which has no folders"
    received = f"{count:,} {what.removesuffix('s') if count == 1 else what} in {path} itself, {inner}"
    rule = "The class of each file is the name of its folder."
    return f"{rule} Received: {received}. Move them to {path}/CLASS/*{kind}.{table}"


def convert(kind: str) -> tuple[str, str]:
    """The kind of a file that is not read, and how to convert it."""
    if kind in UNREAD_AUDIO:
        return "a sound", f"Convert to WAV or FLAC: ffmpeg -i FILE{kind} FILE.wav"
    return "an image", "Convert to PNG, or to TIFF for more than 8 bits: magick mogrify -format png '*" + kind + "'"


def type_of(name: str) -> str:
    """The end of a file's name, in small letters; of archives both parts."""
    suffixes = Path(name.lower()).suffixes
    both = "".join(suffixes[-2:])
    return both if both in FOREIGN else "".join(suffixes[-1:])
