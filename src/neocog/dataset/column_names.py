"""The usual names of the columns of tables, in any case: by these each reader knows what a column means."""

__all__ = [
    "COMMON_TEXTS", "FILES", "FILE_LABELS", "KNOWN_NAMES", "NUMBERS", "SPLIT", "TAGS", "TEXTS", "TEXT_LABELS", "TIMES",
    "TIME_LABELS", "UNPREDICTED",
]  # fmt: skip

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
TEXTS = (*COMMON_TEXTS, "document", "tweet", "comment", "message", "body", "headline", "question")
TEXT_LABELS = ("label", "class", "category", "sentiment", "target", "intent", "topic")
TIMES = ("time", "timestamp", "t", "seconds")
TIME_LABELS = ("label", "class", "target", "activity")
"""The activity at each time of a recording."""
UNPREDICTED = (
    "width", "height", "size", "channels", "depth", "bytes", "length", "duration", "rate", "fold", "group", "index",
    "idx", "row", "number", "page", "frame", "time", "timestamp", "date", "year", "user", "user_id", "subject",
    "patient", "speaker", "source", "url", "offset", "", "unnamed: 0", *NUMBERS,
)  # fmt: skip
"""Columns of numbers about the samples, which are predicted only if the user names them."""
KNOWN_NAMES = frozenset({SPLIT, *FILES, *FILE_LABELS, *TAGS, *TEXTS, *TEXT_LABELS, *TIMES, *TIME_LABELS})
