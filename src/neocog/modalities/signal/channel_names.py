"""Channels that have names are told apart by these, wherever two orders meet: files of a folder, splits, a network."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError, some

__all__ = [
    "SHOWN",
    "check_names",
    "has_fields",
    "match_names",
    "order_channels",
    "plain_name",
    "said_by_name",
    "said_of_channels",
    "split_fields",
]

SHOWN = 20  # names in a message


def plain_name(name: str) -> str:
    """A name without regard to case and to how much space is in it.

    >>> plain_name(" Acc  X")
    'acc x'
    """
    return " ".join(name.split()).casefold()


def match_names(wanted: Sequence[str], found: Sequence[str]) -> dict[str, str]:
    """Which of the names found each wanted one means: the same, or else the only one that differs in case or spaces.

    >>> match_names(["x", "Y", "z"], ["y", "x", "w"])
    {'x': 'x', 'Y': 'y'}
    >>> match_names(["t", "T"], ["T", "t"]), match_names(["a"], ["A", " A"])
    ({'t': 't', 'T': 'T'}, {})
    """
    exact = {name: name for name in wanted if name in found}
    rest = [name for name in found if name not in exact]
    matched = {}
    for name in wanted:
        near = [other for other in rest if plain_name(other) == plain_name(name)]
        rivals = [other for other in wanted if other not in exact and plain_name(other) == plain_name(name)]
        if name in exact:
            matched[name] = name
        elif len(near) == 1 and len(rivals) == 1:
            matched[name] = near[0]
    return matched


def order_channels(
    wanted: Sequence[str], found: Sequence[str], where: str, whose: str, *, unused: Collection[str] = ()
) -> list[str]:
    """The names found in the order of those that are wanted; what is `unused` may be there, and is left out.

    `whose` says in a message what wants these names. Raises DataError for names that are missing or foreign.

    >>> order_channels(["x", "y"], ["y", "X", "id"], "a.csv", "the network", unused=["id"])
    ['X', 'y']
    """
    matched = match_names(wanted, found)
    others = [name for name in found if name not in matched.values()]
    left_out = match_names(others, list(unused)) if others else {}
    missing = [name for name in wanted if name not in matched]
    foreign = [name for name in others if name not in left_out]
    if missing or foreign:
        wrong = [f"missing: {some(missing, SHOWN)}"] if missing else []
        wrong += [f"not known: {some(foreign, SHOWN)}"] if foreign else []
        raise DataError(
            f"Channels are matched by their names. {whose} has {some(wanted, SHOWN)}. Received: {some(found, SHOWN)}, "
            f"in {where} ({'; '.join(wrong)}). Rename, add or remove columns."
        )
    return [matched[name] for name in wanted]


def said_of_channels(names: Sequence[str]) -> str:
    """
    >>> said_of_channels(["x", "y"])
    'channels: x, y'
    """
    return f"channels: {some(names, SHOWN)}"


def said_by_name(wanted: Sequence[str], ordered: Sequence[str], found: Sequence[str]) -> list[str]:
    """What a user should know where channels had another order, or names that were written in another way.

    >>> said_by_name(["x", "y"], ["X", "y"], ["y", "X"])
    ['channels in another order are matched by name: x, y', 'names are matched whatever their case and spaces: X is x']
    """
    said = []
    if [name for name in found if name in ordered] != list(ordered):
        said.append(f"channels in another order are matched by name: {some(wanted, SHOWN)}")
    renamed = [f"{other} is {name}" for name, other in zip(wanted, ordered, strict=True) if name != other]
    if renamed:
        said.append(f"names are matched whatever their case and spaces: {some(renamed, SHOWN)}")
    return said


def check_names(names: Sequence[str], num_channels: int, where: str) -> None:
    """Raises DataError if there is not one name for each channel, each of its own."""
    if len(names) != num_channels or len(set(names)) < len(names):
        raise DataError(
            f"Each channel needs a name of its own. Received: {some(map(repr, names), SHOWN)} for {num_channels} "
            f"channel{'' if num_channels == 1 else 's'}, in {where}."
        )


def split_fields(array: NDArray[np.void], axis: int) -> tuple[NDArray[np.generic], tuple[str, ...]]:
    """A structured array's fields as channels along a new axis, and their names.

    >>> split_fields(np.array([(1, 2.5), (3, 4.5)], [("x", "i4"), ("y", "f4")]), 0)
    (array([[1. , 3. ],
           [2.5, 4.5]]), ('x', 'y'))
    """
    names = array.dtype.names or ()
    return np.stack([array[name] for name in names], axis=axis), names


def has_fields(dtype: np.dtype[Any]) -> bool:
    """Whether this is the type of a structured array of real numbers, of which each field is a channel."""
    return bool(dtype.names) and all(dtype[name].kind in "fiu" and not dtype[name].shape for name in dtype.names or ())
