"""The exceptions that users meet. Each carries its parts as attributes and assembles its text from them in one place.

    NeocogError
    ├── GeometryError      sizes that don't match: an image and a network, a kernel and a feature map
    ├── PlanError          a network that can't be planned: not found, not a network, or with data-dependent branches
    ├── DataError          a data set or a file that can't be read as what it should be
    ├── ConfigError        a setting that is unknown, of the wrong type, out of range, or would be ignored
    ├── CheckpointError    a checkpoint that is damaged or belongs to another model
    ├── BundleError        a model file that is damaged, foreign or unsafe
    ├── RunError           a run folder that is in use, finished, or not a run folder
    ├── ExportError        an exported network that computes something else than its bundle
    ├── PlayError          a program that plays Go and fails, or does not answer
    ├── StorageError       a file that could not be written; what was there before is intact
    └── DivergenceError    a loss that became NaN or infinite

A command-line user meets the message alone and exit code 2; a Python user catches the class.
"""

import difflib
import re
from collections.abc import Iterable

__all__ = [
    "BundleError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DivergenceError",
    "ExportError",
    "GeometryError",
    "NeocogError",
    "PlanError",
    "PlayError",
    "RunError",
    "StorageError",
    "agree",
    "did_you_mean",
    "some",
]


class NeocogError(Exception):
    """Root of all errors that a user can fix.

    `rule` is a sentence that says what must hold; `received` what was there instead and `where` it was, both without a
    full stop; `fix` a sentence that says what to do. `kind` is a short name for code that tells errors apart, so that
    nothing has to read the text.

    >>> error = NeocogError("A label must be a class.", received="'dgo'", where="a.csv, line 3", fix="Write 'dog'.")
    >>> print(error)
    A label must be a class. a.csv, line 3: received 'dgo'. Write 'dog'.
    >>> print(NeocogError("A label must be a class.", received="'dgo'"))
    A label must be a class. Received: 'dgo'.
    >>> error.where
    'a.csv, line 3'
    """

    def __init__(self, rule: str, *, received: str = "", where: str = "", fix: str = "", kind: str = "") -> None:
        super().__init__(rule)
        self.rule, self.received, self.where, self.fix, self.kind = rule, received, where, fix, kind

    def __str__(self) -> str:
        found = ""
        if self.received:
            found = f"{self.where}: received {self.received}." if self.where else f"Received: {self.received}."
        elif self.where:
            found = f"Found in {self.where}."
        return " ".join(part for part in (self.rule, found, self.fix) if part)


class GeometryError(NeocogError):
    """Sizes that don't match."""


class PlanError(NeocogError):
    """A network that can't be planned."""


class DataError(NeocogError):
    """Data that can't be read as what it should be."""


class ConfigError(NeocogError):
    """A setting that is unknown, of the wrong type, out of range, or would be ignored."""


class CheckpointError(NeocogError):
    """A checkpoint that is damaged or belongs to another model."""


class BundleError(NeocogError):
    """A model file that is damaged, foreign or unsafe."""


class RunError(NeocogError):
    """A run folder that is in use, finished, or not a run folder."""


class ExportError(NeocogError):
    """An exported network that computes something else than its bundle; `report` has the figures."""

    def __init__(self, rule: str, *, received: str = "", where: str = "", fix: str = "", report: object = None) -> None:
        super().__init__(rule, received=received, where=where, fix=fix)
        self.report = report


class PlayError(NeocogError):
    """A program that plays Go and fails, or does not answer."""


class StorageError(NeocogError):
    """A file that could not be written; what was there before is intact."""


class DivergenceError(NeocogError):
    """A loss that became NaN or infinite."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known name, or else all of them.

    >>> did_you_mean("lenet", ["lenet5", "alexnet"])
    "Did you mean 'lenet5'?"
    >>> did_you_mean("x", ["lenet5", "alexnet"])
    'Known: alexnet, lenet5.'
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(names)}."


def some(items: Iterable[object], most: int = 3) -> str:
    """The first few of many, and how many are left.

    >>> some(["a.png", "b.png", "c.png", "d.png", "e.png"])
    'a.png, b.png, c.png and 2 more'
    """
    listed = [str(item) for item in items]
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest} more" if rest > 0 else "")


def agree(text: str, count: int) -> str:
    """The words that go with a number.

    >>> agree("{n} image(|s) (is|are) empty", 1), agree("{n} image(|s) (is|are) empty", 1200)
    ('1 image is empty', '1,200 images are empty')
    """
    chosen = re.sub(r"\(([^()|]*)\|([^()|]*)\)", lambda match: match[1 if count == 1 else 2], text)
    return chosen.replace("{n}", f"{count:,}")
