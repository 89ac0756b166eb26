"""What the columns of tables are called, in any case: by these names each reader knows what a column means."""

from collections.abc import Sequence
from dataclasses import dataclass

from neocog.errors import DataError, some

__all__ = [
    "COMMON_TEXTS",
    "FILES",
    "FILE_LABELS",
    "KNOWN_NAMES",
    "NUMBERS",
    "SPLIT",
    "TAGS",
    "TEXTS",
    "TEXT_LABELS",
    "TIMES",
    "TIME_LABELS",
    "UNNAMED",
    "Asked",
    "column_named",
]

SPLIT = "split"
FILES = ("file_name", "filename", "file", "path", "image", "image_path", "image_id", "id")
"""The files of a list; the last two yield to the others."""
NUMBERS = ("image_id", "id")
FILE_LABELS = ("label", "class", "category", "target", "class_name")
"""One class for each file."""
TAGS = ("labels", "tags")
"""Several classes for each file, in one value: a|b or a;b, or a list in JSONL."""
COMMON_TEXTS = ("text", "sentence", "review", "content")
"""By these alone a column is known to hold the texts that are learned from, whatever else a set has."""
TEXTS = (
    *COMMON_TEXTS, "document", "tweet", "comment", "message", "body", "headline", "question",
)  # fmt: skip
TEXT_LABELS = ("label", "class", "category", "sentiment", "target", "intent", "topic")
TIMES = ("time", "timestamp", "t", "seconds")
TIME_LABELS = ("label", "class", "target", "activity")
"""What was done at each time of a recording."""
KNOWN_NAMES = frozenset({SPLIT, *FILES, *FILE_LABELS, *TAGS, *TEXTS, *TEXT_LABELS, *TIMES, *TIME_LABELS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The columns that a user names, whatever they are called."""

    file: str | None = None
    text: str | None = None
    label: str | None = None


UNNAMED = Asked()


def column_named(columns: Sequence[str], name: str, setting: str, where: str) -> str:
    """The column of this name, in any case where that is clear. Raises DataError where there is none.

    >>> column_named(("V1", "v2"), "v1", "label_column", "a.csv")
    'V1'
    """
    found = [column for column in columns if column == name] or [
        column for column in columns if column.lower() == name.lower()
    ]
    if len(found) != 1:
        raise DataError(
            f"data.{setting} names a column of the table. Received: {name!r}, and the columns {some(columns, 8)}, in "
            f"{where}. Correct the name; columns without a header are called 0, 1, ..."
        )
    return found[0]
