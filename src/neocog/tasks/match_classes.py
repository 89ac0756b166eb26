"""The classes of a data set in a network's numbering: by name, or by number if only its spelling differs."""

import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Source
from neocog.errors import DataError, some
from neocog.progress import note

__all__ = ["match_classes"]

NUMBER = re.compile(r"[+-]?(\d{1,18}(\.\d{0,18})?|\.\d{1,18})([eE][+-]?\d{1,2})?", re.ASCII)


def match_classes(source: Source, classes: Sequence[str]) -> NDArray[np.int64]:
    """For each class of the source its index among the network's `classes`; (K of the source,).

    Raises DataError for a class that the network does not know.
    """
    number = {name: k for k, name in enumerate(classes)}
    same = same_numbers([name for name in source.classes if name not in number], source.classes, classes)
    if same:
        shown = some([f"{found!r} is {known!r}" for found, known in same.items()], 10)
        note(f"Classes of {source.name} are matched by their number: {shown}.")
    number |= {found: number[known] for found, known in same.items()}
    unknown = [name for name in source.classes if name not in number]
    if unknown:
        raise DataError(
            f"A network can only be evaluated on the classes that it was trained on: {some(classes, 10)}.",
            received=f"{some(unknown)} as well",
            where=source.name,
            fix="Rename or remove these classes.",
        )
    absent = [name for name in classes if name not in source.classes and name not in same.values()]
    if absent:
        note(f"{source.name} has no samples of {some(absent)}.")
    return np.array([number[name] for name in source.classes])


def same_numbers(unknown: Sequence[str], found: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """For each class that a network does not know by name, the one that it knows by another spelling of its number.

    A number that two classes of the data, or two of the network, have is left alone: their spelling tells them apart.

    >>> same_numbers(["1.0", "2.0"], ["1.0", "2.0"], ["1", "2"]), same_numbers(["1.0"], ["1", "1.0"], ["1", "2"])
    ({'1.0': '1', '2.0': '2'}, {})
    """
    values = {name: Decimal(name) for name in {*found, *known} if NUMBER.fullmatch(name)}
    matched = {}
    for name in unknown:
        alike = [other for other in known if name in values and values.get(other) == values[name]]
        rivals = [other for other in found if name in values and values.get(other) == values[name]]
        if len(alike) == 1 and len(rivals) == 1:
            matched[name] = alike[0]
    return matched
