"""What goes wrong, by kind. Every message says the rule, what was received, where, and how to mend it.

    NeocogError
    ├── GeometryError      sizes that do not meet: a picture and a network, a kernel and a map
    ├── PlanError          a network that can't be planned: not found, not a network, or led by values
    ├── DataError          a data set or a file that can't be read as what it should be
    ├── ConfigError        a setting that is unknown, of the wrong type, out of range, or would be ignored
    ├── CheckpointError    a checkpoint that is damaged or belongs to another model
    ├── BundleError        a model file that is damaged, foreign or unsafe
    ├── RunError           a run folder that is taken, finished, or not a run
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
    "GeometryError",
    "NeocogError",
    "PlanError",
    "RunError",
    "StorageError",
    "agree",
    "did_you_mean",
    "some",
]


class NeocogError(Exception):
    """Root of all errors that a user can mend."""


class GeometryError(NeocogError):
    """Sizes that do not meet."""


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
    """A run folder that is taken, finished, or not a run."""


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

    >>> agree("{n} picture(|s) (is|are) empty", 1), agree("{n} picture(|s) (is|are) empty", 1200)
    ('1 picture is empty', '1,200 pictures are empty')
    """
    chosen = re.sub(r"\(([^()|]*)\|([^()|]*)\)", lambda match: match[1 if count == 1 else 2], text)
    return chosen.replace("{n}", f"{count:,}")
