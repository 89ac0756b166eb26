"""Files and folders written whole or not at all, one process at a time in a folder, downloads, the cache."""

from neocog.files.cache import cache_dir, cached_path
from neocog.files.fetch import Remote, fetch, file_hash
from neocog.files.lock import folder_lock
from neocog.files.whole import append_line, storage_errors, whole_file, whole_folder, write_whole

__all__ = [
    "Remote",
    "append_line",
    "cache_dir",
    "cached_path",
    "fetch",
    "file_hash",
    "folder_lock",
    "storage_errors",
    "whole_file",
    "whole_folder",
    "write_whole",
]
