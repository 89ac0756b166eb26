"""Reading what a bundle has learned for its decisions: nothing in a file is trusted before it is checked."""

import math
from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["read_number", "read_numbers"]

Sign = Literal["any", "positive", "not negative"]


def read_numbers(
    learned: Mapping[str, Any], name: str, count: int, *, sign: Sign = "any", optional: bool = False
) -> list[float]:
    """The list of `count` finite numbers that has this name.

    With `optional`, single numbers may be null, and become NaN. Raises ValueError for anything else.

    >>> read_numbers({"std": [1.0, 2]}, "std", 2, sign="positive")
    [1.0, 2.0]
    """
    values = learned.get(name)
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"{name} must be a list of length {count}, received {values!r:.200}")
    return [math.nan if value is None and optional else check_number(value, name, sign) for value in values]


def read_number(learned: Mapping[str, Any], name: str, *, sign: Sign = "any") -> float | None:
    """The finite number that has this name; None if there is none. Raises ValueError for anything else."""
    return None if learned.get(name) is None else check_number(learned[name], name, sign)


def check_number(value: Any, name: str, sign: Sign) -> float:
    right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not right or (sign == "positive" and value <= 0) or (sign == "not negative" and value < 0):
        kind = "finite number" if sign == "any" else f"finite number that is {sign}"
        raise ValueError(f"{name} must be a {kind}, received {value!r:.200}")
    return float(value)
