"""Files written whole or not at all, folders that one process writes at a time, and checked downloads."""

from neocog.files.fetch import Remote, fetch, file_hash
from neocog.files.lock import folder_lock
from neocog.files.whole import append_line, storage_errors, whole_file, write_whole

__all__ = [
    "Remote",
    "append_line",
    "fetch",
    "file_hash",
    "folder_lock",
    "storage_errors",
    "whole_file",
    "write_whole",
]
