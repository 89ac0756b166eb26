"""The skip list: samples to leave out, one line each, so that the data itself need not be touched.

The first line is a comment with the set's name and fingerprint. Every other is `KEY<TAB>REASON` in UTF-8; in both,
backslash, tab, line breaks and invalid Unicode are written as escapes, as is a # that begins a key.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from neocog.errors import ConfigError, DataError
from neocog.files import write_whole

__all__ = ["DEFAULT_NAME", "check_place", "read_skip_list", "write_skip_list"]

DEFAULT_NAME = "neocog-skip.txt"
TITLE = "# Neocog skip list"
ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
PLAIN = {escape: character for character, escape in ESCAPES.items()}
ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.|$)", re.DOTALL)


def write_skip_list(path: Path, skip: Mapping[str, str], *, name: str, fingerprint: str) -> None:
    """Write the list, whole or not at all; `skip` holds a reason by key."""
    lines = [f"{TITLE}: {escape(name)}, {fingerprint or 'no fingerprint'}"]
    lines += [f"{escape(key)}\t{escape(reason)}" for key, reason in skip.items()]
    write_whole(path, "\n".join(lines) + "\n")


def read_skip_list(path: Path) -> dict[str, str]:
    """A reason by key, as `write_skip_list` had it. Lines that begin with # and empty ones are ignored.

    Raises DataError for a file that can't be read, is not UTF-8, or has a line that is not a key and a reason.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"The skip list {path} can't be read: {error.strerror}.", fix="Check the path.") from error
    except UnicodeDecodeError as error:
        where = f"{path}, byte {error.start}"
        raise DataError("A skip list must be UTF-8.", where=where, fix="Save it as UTF-8.") from error
    skip: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would also part keys with other line breaks
        line = line.removesuffix("\r")
        if line.startswith("#") or not line:
            continue
        key, tab, reason = line.partition("\t")
        where = f"{path}, line {number}"
        if not key or not tab:
            rule = "A line of a skip list must be a sample's key, a tab and a reason."
            raise DataError(rule, received=repr(line[:200]), where=where, fix="Fix or remove it.")
        skip.setdefault(unescape(key, where), unescape(reason, where))
    return skip


def check_place(path: Path, data: Path | None) -> None:
    """Raises ConfigError for a place within the data, and for a file that is not a skip list; it is never replaced."""
    if data is not None and data.is_dir() and path.resolve().is_relative_to(data.resolve()):
        fix = "Name a place elsewhere with --skip-list, or add --no-skip-list."
        raise ConfigError("Nothing is written into the data folder.", received=f"{path}, inside {data}", fix=fix)
    if path.is_dir():
        raise ConfigError("A skip list is a file.", received=f"{path}, a folder", fix="Name a file in it.")
    if path.is_file() and not is_skip_list(path):
        rule = "A skip list may replace only a skip list."
        raise ConfigError(rule, received=f"{path}, another file", fix="Name another --skip-list.")


def is_skip_list(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(TITLE)) == TITLE.encode()
    except OSError:
        return False


def escape(text: str) -> str:
    """A text as one field of a line.

    >>> escape("a\\tb\\ud800"), escape("#1")
    ('a\\\\tb\\\\ud800', '\\\\u00231')
    """
    shown = "".join(ESCAPES.get(c) or (f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c) for c in text)
    return "\\u0023" + shown[1:] if shown.startswith("#") else shown


def unescape(text: str, where: str) -> str:
    """The inverse of `escape`."""

    def character(match: re.Match[str]) -> str:
        found = match[0]
        if found not in PLAIN and len(found) != 6:
            raise DataError("A skip list must double each backslash.", received=repr(text[:200]), where=where)
        return PLAIN.get(found) or chr(int(found[2:], 16))

    return ESCAPE.sub(character, text)
