"""Channels are matched by their names, if they have any: in the files of a folder, in splits, and for a network."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError, agree, some

__all__ = ["SHOWN", "check_names", "has_fields", "match_names", "order_channels", "said_of_channels", "split_fields"]

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
) -> tuple[list[str], list[str]]:
    """The names found in the order of those that are wanted, and notices on other orders and spellings.

    `unused` names may be there, and are left out. `whose` names the owner of the wanted names in a message.
    Raises DataError for names that are missing or unknown.

    >>> order_channels(["x", "y"], ["y", "X", "id"], "a.csv", "the network", unused=["id"])[0]
    ['X', 'y']
    >>> order_channels(["x", "y"], ["y", "X"], "a.csv", "the network")[1]
    ['channels in another order are matched by name: x, y', 'names are matched whatever their case and spaces: X is x']
    """
    matched = match_names(wanted, found)
    others = [name for name in found if name not in matched.values()]
    left_out = match_names(others, list(unused)) if others else {}
    wrong = {
        "missing": [name for name in wanted if name not in matched],
        "not known": [name for name in others if name not in left_out],
    }
    if any(wrong.values()):
        told = "; ".join(f"{what}: {some(names, SHOWN)}" for what, names in wrong.items() if names)
        rule = f"Channels are matched by their names. {whose} has {some(wanted, SHOWN)}."
        fix = "Rename, add or remove columns."
        raise DataError(rule, received=f"{some(found, SHOWN)} ({told})", where=where, fix=fix)
    ordered, notices = [matched[name] for name in wanted], []
    if [name for name in found if name in ordered] != ordered:
        notices.append(f"channels in another order are matched by name: {some(wanted, SHOWN)}")
    renamed = [f"{other} is {name}" for name, other in matched.items() if name != other]
    if renamed:
        notices.append(f"names are matched whatever their case and spaces: {some(renamed, SHOWN)}")
    return ordered, notices


def said_of_channels(names: Sequence[str]) -> str:
    """The notice that names the channels of a source."""
    return f"channels: {some(names, SHOWN)}"


def check_names(names: Sequence[str], num_channels: int, where: str) -> None:
    """Raises DataError if there is not one name for each channel, each of its own."""
    if len(names) != num_channels or len(set(names)) < len(names):
        received = f"{some(map(repr, names), SHOWN)} for {agree('{n} channel(|s)', num_channels)}"
        raise DataError("Each channel needs a name of its own.", received=received, where=where)


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
