"""Files that are whole or not there, and folders that one process writes at a time."""

from neocog.files.lock import folder_lock
from neocog.files.whole import append_line, storage_errors, whole_file, write_whole

__all__ = ["append_line", "folder_lock", "storage_errors", "whole_file", "write_whole"]
