"""The interface of data sets, and each fact about files, folders, tables and labels once, whatever the data is."""

from neocog.dataset.list_source import FileSource, ListSource, SplitSource
from neocog.dataset.record import Modality, Payload, Record, Source, Target, Task, describe, fingerprint

__all__ = [
    "FileSource", "ListSource", "Modality", "Payload", "Record", "Source", "SplitSource", "Target", "Task", "describe",
    "fingerprint",
]  # fmt: skip
