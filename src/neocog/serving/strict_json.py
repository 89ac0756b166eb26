"""JSON from outside, read with limits and with sentences for what is wrong."""

import json
from typing import Any

import numpy as np

from neocog.serving.exchange import RequestError

__all__ = ["read_json"]

STRUCTURE = b'[]{}"\\'
OTHERS = bytes(set(range(256)) - set(STRUCTURE))


def read_json(data: bytes, most_levels: int, what: str = "The body") -> Any:
    """The value of a JSON text. NaN and Infinity, which some clients write, come as floats: the caller refuses them.

    Raises RequestError for a text that is not JSON, or that is nested deeper than `most_levels`.

    >>> read_json(b'{"a": [1, 2]}', 2)
    {'a': [1, 2]}
    """
    if data.count(b"[") + data.count(b"{") > most_levels and levels(data) > most_levels:
        raise RequestError(
            f"{what} must not nest lists and objects deeper than {most_levels} levels.", received=f"{levels(data)}",
            fix="Send numbers as a flat list, row by row.",
        )  # fmt: skip
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # ValueError: also for bytes that are not UTF-8, and huge numbers
        raise RequestError(
            f"{what} must be JSON.", received=describe(error, data), fix="Check it with a JSON parser."
        ) from error


def describe(error: Exception, data: bytes) -> str:
    if not data:
        return "nothing"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"bytes that are not UTF-8, from place {error.start}"
    return "a number of too many digits"


def levels(data: bytes) -> int:
    """How deep lists and objects are nested; too many rather than too few for a text that is not JSON.

    >>> levels(b'{"a[[[": [1, [2]]}'), levels(b"[" * 1000)
    (3, 1000)
    """
    marks = data.translate(None, OTHERS)
    if b'"' in marks:
        marks = without_strings(data)
    codes = np.frombuffer(marks, np.uint8)
    steps = np.isin(codes, (91, 123)).astype(np.int32) - np.isin(codes, (93, 125))
    return int(steps.cumsum().max(initial=0))


def without_strings(data: bytes) -> bytes:
    """The brackets of a JSON text that are not within strings."""
    pieces = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    return b"".join(pieces[::2]).translate(None, OTHERS)
