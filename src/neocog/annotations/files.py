"""Careful reading of names in annotations: files below a folder, classes, lines, and the errors of a schema."""

import re
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pydantic import ValidationError

from neocog.dataset.files import read_limited
from neocog.errors import DataError, some

__all__ = [
    "by_stem", "check_names", "entry_error", "find_twice", "is_encodable", "list_entries", "read_lines",
    "resolve_below", "schema_error", "show",
]  # fmt: skip
EXPORT = "Export it again."


def entry_error(rule: str, received: str, where: object, fix: str = "") -> DataError:
    """An error in an entry of an annotation file."""
    return DataError(rule, received=received, where=str(where), fix=fix)


def find_twice(values: Iterable[Any]) -> list[Any]:
    """The values that occur more than once, in their order."""
    return [value for value, count in Counter(values).items() if count > 1]


def list_entries(folder: Path) -> list[Path]:
    """The content of a folder, sorted; empty if it can't be listed. For recognising, which never raises."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def by_stem(paths: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Files by their path below a folder without suffix. Raises DataError if two have the same one.

    >>> by_stem([Path("set/images/a/1.png")], Path("set/images"))
    {'a/1': PosixPath('set/images/a/1.png')}
    """
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
        if other != path:
            rule = "An image and its annotation share a name, so two images must not."
            raise entry_error(rule, f"{other.name} and {path.name}", folder, "Rename one.")
    return found


def read_lines(path: Path, most: int = 2**24) -> list[tuple[int, str]]:
    """The lines of a text that are not empty, stripped, with their numbers. Raises DataError if it is not UTF-8."""
    try:
        text = read_limited(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason} at byte {error.start}.", fix="Convert it.") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def resolve_below(folder: Path, name: str, where: str) -> Path:
    """The path that an annotation names. Raises DataError for a name that leaves the folder, or can't be a path."""
    path = PurePosixPath(name.replace("\\", "/"))
    leaves = path.is_absolute() or ".." in path.parts or bool(PureWindowsPath(name).drive)
    if leaves or not path.parts or "\0" in name or not is_encodable(name):
        raise entry_error(f"An image's name must lead to a file below {folder}.", repr(name[:200]), where)
    return folder / path


def check_names(names: Sequence[object], where: str | Path) -> tuple[str, ...]:
    """Class names. Raises DataError if one is not a text, is empty, or occurs twice."""
    checked = []
    for name in names:
        if not isinstance(name, str) or not name.strip() or not is_encodable(name):
            raise entry_error("A class needs a name.", show(name), where, "Put it in quotes.")
        checked.append(name.strip())
    if twice := find_twice(checked):
        raise entry_error("Each class needs a name of its own.", f"{some(map(repr, twice))} twice", where)
    return tuple(checked)


def show(value: object) -> str:
    """A value from a file for a message, however long or deep it is.

    >>> show([1, [2, "three"]]), show(1 << 40_000)
    ("[1, [2, 'three']]", 'a huge number')
    """
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no integers of thousands of digits
        return "a huge number"


def is_encodable(text: str) -> bool:
    """Whether a text can be written to a file: escapes in JSON and YAML can make one that can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def schema_error(error: ValidationError, where: str, fix: str, *, skip: int = 0, name: str = "an entry") -> DataError:
    """A schema's first complaint as our error; `where` covers the first `skip` keys, `name` is the whole's."""
    first = error.errors(include_url=False)[0]
    received, path = first["input"], list(first["loc"][skip:])
    if path and isinstance(path[0], str):
        name, *path = repr(path[0]), *path[1:]
    name += "".join(f"[{key}]" for key in path)
    message = re.sub("(Input|List) should", f"{name} must", first["msg"]).replace(" after validation", "") + "."
    rules = {"missing": f"The key {name} is needed.", "dataclass_type": f"{name} must be an object with named values."}
    rule = rules.get(first["type"], message)
    keys = f"the keys {some(map(show, received), 8)}" if isinstance(received, Mapping) and received else ""
    return entry_error(rule if keys else rule[0].upper() + rule[1:], keys or show(received), where, fix)
