"""Audio with a table beside it: a CSV, TSV or JSONL file that names each file and its labels."""

from pathlib import Path

from neocog.dataset.columns import ColumnChoice
from neocog.dataset.file_types import SUFFIXES
from neocog.modalities.image.image_table import FileTable, find_tables, lists_files, tables_with_files
from neocog.modalities.image.image_table_files import FileKind

__all__ = ["AudioTable", "is_audio_table", "open_audio_table"]

SOUNDS = FileKind(SUFFIXES["audio"], "audio files")


class AudioTable(FileTable):
    """The audio files that tables name; see `FileTable`."""

    modality, format = "audio", "sound-list"
    file_noun, kind = "An audio file", SOUNDS


def is_audio_table(path: Path, *, file_column: str | None = None, label_column: str | None = None) -> bool:
    """Whether this is a table that names audio files and labels, or a folder with one."""
    chosen = ColumnChoice(file=file_column, label=label_column)
    try:
        return bool(tables_with_files(path, chosen, SOUNDS)) if path.is_dir() else lists_files(path, chosen, SOUNDS)
    except OSError:
        return False


def open_audio_table(
    path: Path, *, file_column: str | None = None, label_column: str | None = None, task: str | None = None
) -> AudioTable:
    """The audio files that a table names, or the tables in a folder; the columns may be chosen by name."""
    chosen = ColumnChoice(file=file_column, label=label_column)
    tables = find_tables(path, chosen, SOUNDS) if path.is_dir() else {"all": path}
    return AudioTable(path if path.is_dir() else path.parent, tables, chosen, task)
