"""Why a path is no data set that can be read: the reason of the layout that fits nearly, else what lies there."""

import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from neocog.data.formats import FORMATS
from neocog.dataset.class_files import first_file
from neocog.dataset.column_names import TIME_LABELS, TIMES
from neocog.dataset.dialect import SEPARATORS, find_dialect
from neocog.dataset.folders import class_folders, plain_files, walk
from neocog.dataset.tables import is_table, read_columns
from neocog.errors import DataError, some
from neocog.modalities.audio.audio_folder import SUFFIXES as SOUNDS
from neocog.modalities.image.folder import EXTENSIONS
from neocog.modalities.image.image_tables import first_row

__all__ = ["not_understood"]

LOOKED_AT = 10_000  # files of a folder
UNPACK = "Unpack it, and give the folder that it makes"
EXPORT = "Save it as CSV (UTF-8), one sheet with a line of column names, and give that file"
SAVE_NPZ = "Save the arrays as x and y: numpy.savez('data.npz', x=x, y=y)"
UNPICKLED = (
    "Nothing is unpickled, since that runs code. Load it where it was made, and save it in an open format: .npz, "
)
UNPICKLED += ".csv, or files in a folder for each class"
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
                     "Write its records as tar or Parquet shards, or as files in a folder for each class")),
    ".json": ("a JSON file", "A table has one JSON object on each line: save it as .jsonl"),
    **dict.fromkeys((".mp4", ".avi", ".mov", ".mkv", ".webm"),
                    ("a video", "Extract frames: ffmpeg -i VIDEO -vf fps=1 CLASS/%06d.png")),
    **dict.fromkeys((".docx", ".doc", ".odt", ".rtf", ".pdf"), ("a document", "Save its text as .txt, UTF-8")),
}  # fmt: skip
PICTURES = frozenset({
    ".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".psd", ".svg", ".dcm",
    ".nii", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raw", ".ico", ".exr", ".hdr", ".fits",
})  # fmt: skip
"""Image types that are not read."""
UNNAMED_TABLES = frozenset({"", ".txt", ".dat", ".data", ".tab", ".text", ".asc"})
"""What tables are called that are not called .csv or .tsv."""
UNREAD_SOUNDS = frozenset({".mp3", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".opus", ".amr", ".au", ".3gp"})


def not_understood(path: Path, columns: Mapping[str, str]) -> DataError:
    """Begins with the reason, if there is one."""
    reasons = [
        reason
        for layout in FORMATS
        if layout.nearly and columns.keys() <= layout.options and (reason := layout.nearly(path, **columns))
    ]
    if not reasons and (reason := of_folder(path) if path.is_dir() else of_file(path)):
        reasons = [reason]
    if reasons:
        return DataError("\n".join(dict.fromkeys(reasons)) + " All layouts are in docs/data.md.")
    inside = sorted(entry.name for entry in path.iterdir())[:5] if path.is_dir() else []
    return DataError(
        f"No known layout of a data set is recognised at {path}"
        + (f", which holds {', '.join(inside)}{' ...' if len(inside) == 5 else ''}. " if inside else ". ")
        + "Put images at FOLDER/CLASS/*.png, or use one of the other layouts that docs/data.md shows: "
        + ", ".join(layout.name for layout in FORMATS)
        + "."
    )


def of_file(path: Path) -> str | None:
    """What a single file is, and what to give instead."""
    if not path.is_file():
        return None
    if not path.stat().st_size:
        return f"{path} is empty. Give a file or a folder that holds data."
    kind = type_of(path.name)
    if is_table(path):
        return of_numbers(path)
    if kind in FOREIGN:
        what, fix = FOREIGN[kind]
        return f"{path} is {what} ({kind}), which is not read. {fix}."
    if kind in PICTURES | UNREAD_SOUNDS:
        what, fix = unread(kind)
        return (
            f"{path} is {what} of a type that is not read ({kind}). {fix}, and give the folder above those of the "
            "classes."
        )
    if kind in UNNAMED_TABLES and (separated := separator_of(path)):
        return (
            f"A table is called .csv, .tsv or .jsonl. Received: {path}, whose lines are separated by {separated}. "
            "Rename it."
        )
    for what, suffixes in (("a single image", EXTENSIONS), ("a single sound", SOUNDS), ("a single text", {".txt"})):
        if kind in suffixes:
            return (
                f"{path} is {what}. A data set is many of them: FOLDER/CLASS/*{kind}. Give the folder above the "
                "folders of the classes."
            )
    return None


def separator_of(path: Path) -> str | None:
    """What separates the lines of a text into as many columns each, if it is a table."""
    with path.open("rb") as file:
        raw = file.read(LOOKED_AT + 1)
    lines = [line for line in raw[:LOOKED_AT].decode(errors="replace").splitlines() if line.strip()]
    lines = lines[:-1] if len(raw) > LOOKED_AT else lines  # the last may go on
    for sign, name in SEPARATORS.items():
        counts = {line.count(sign) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts != {0}:
            return name
    return None


def of_numbers(table: Path) -> str | None:
    """A table that holds neither texts nor names of images."""
    try:
        columns = read_columns(table)
    except DataError as error:
        return str(error)
    if not find_dialect(table).has_header:
        return (
            f"A recording begins with the names of its columns. Received: {some(columns, 8)} by their place, for the "
            f"first line of {table} looks like a sample. Add a line such as {TIMES[0]},x,y,{TIME_LABELS[0]} above it."
        )
    return (
        f"A recording has the time in its first column ({', '.join(TIMES)}) and the label in its last "
        f"({', '.join(TIME_LABELS)}). Received: the columns {some(columns, 8)}, in {table}. Rename them, if it is one. "
        "Tables with a sample in each row, and a measured quantity in each column, are not learned from."
    )


def of_folder(path: Path) -> str | None:
    """What a folder holds that is not a data set, and what to do with it."""
    if not any(path.iterdir()):
        return (
            f"{path} is empty. Put images at {path}/train/CLASS/*.png or {path}/CLASS/*.png, or use one of the other "
            "layouts."
        )
    tables = [file for file in plain_files(path) if is_table(file)]
    if len(tables) == 1 or (tables and len(tables) == len(plain_files(path))):
        return of_numbers(tables[0])
    direct = Counter(type_of(file.name) for file in plain_files(path))
    for what, suffixes in (("images", EXTENSIONS), ("sounds", SOUNDS), ("texts", frozenset({".txt"}))):
        count = sum(number for kind, number in direct.items() if kind in suffixes)
        if count > 1 or (count and len(direct) == 1):
            return of_flat(path, what, count, next(kind for kind in direct if kind in suffixes))
    found = Counter(type_of(entry.name) for entry in itertools.islice(walk(path, follow=False), LOOKED_AT))
    if not found:
        folders = some(folder.name for folder in class_folders(path))
        return (
            f"{path} holds folders, but no file in them. Received: {folders or 'none'}. Put each class's files there."
        )
    if table := first_file(path, {".csv", ".tsv"}):
        return of_signal(table)
    if set(found) == {""}:
        first = next(walk(path, follow=False))
        return (
            f"Files are known by the ends of their names, such as .png, .wav or .txt. Received: {found['']:,} files "
            f"without any in {path}, such as {first.path}. Rename them."
        )
    for kind, count in found.most_common():
        if kind in PICTURES | UNREAD_SOUNDS:
            what, fix = unread(kind)
            return f"{path} holds {what.split()[-1]}s of a type that is not read. Received: {count:,} {kind}. {fix}."
        if kind in FOREIGN:
            what, fix = FOREIGN[kind]
            return f"{path} holds no file that is read. Received: {count:,} {kind}: {what}. {fix}."
    return None


def of_signal(table: Path) -> str:
    """A table in a folder of a class, which is not a signal."""
    try:
        cells = first_row(table).values
    except DataError as error:
        return str(error)
    shown = some((repr(str(value)[:40]) for value in cells.values()), 4)
    return (
        "A table in the folder of a class is a signal: a .csv file of numbers, with columns separated by "
        f"{', '.join(SEPARATORS.values())}. Received: {shown}, the first row of {table}. Save it so; texts are read "
        "from one table for all classes, or from .txt files."
    )


def of_flat(path: Path, what: str, count: int, kind: str) -> str:
    """Files without folders have no classes."""
    table = " Or list them in a table beside them: file,label." if what == "images" else ""
    folders = some(folder.name for folder in class_folders(path))
    return (
        f"The class of each file is the name of its folder. Received: {count:,} {what} in {path} itself"
        + (f", and no {what} in its folders ({folders})" if folders else ", which has no folders")
        + f". Move them to {path}/CLASS/*{kind}.{table}"
    )


def unread(kind: str) -> tuple[str, str]:
    """What a type of file is, and how it is converted."""
    if kind in UNREAD_SOUNDS:
        return "a sound", f"Convert to WAV or FLAC: ffmpeg -i FILE{kind} FILE.wav"
    return "an image", "Convert to PNG, or to TIFF for more than 8 bits: magick mogrify -format png '*" + kind + "'"


def type_of(name: str) -> str:
    """The end of a file's name, in small letters; of archives both parts."""
    suffixes = Path(name.lower()).suffixes
    both = "".join(suffixes[-2:])
    return both if both in FOREIGN else "".join(suffixes[-1:])
