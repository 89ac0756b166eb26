"""Whether the labels of a data set are classes, several labels, or numbers to predict: the rule, in one place.

One column holds numbers to predict if each of its values is a number and one of them isn't whole; or if it has more
than 20 different whole numbers, more than a tenth as many as samples, that don't just number classes from 0 or 1.
Anything else is a class: names, 0 and 1, 1 to 5, and numbers with leading zeros, such as 007. Arrays of integers hold
classes. Several columns of 0 and 1 are several labels; several columns of other numbers are several outputs.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Task
from neocog.errors import ConfigError, agree

__all__ = ["LABEL_TASKS", "OUTPUT", "are_quantities", "check_task", "output_name", "said"]

LABEL_TASKS: tuple[Task, ...] = ("classification", "multi-label", "regression")
"""The tasks that labels in columns or arrays can be for."""
FEW = 20
"""Different whole numbers up to which they are classes."""
SHARE = 0.1
"""Different whole numbers by number of samples, up to which they are classes."""
DENSE = 2
"""Numbers from 0 or 1 number classes if the highest is below this many times the different ones."""
CLASS_COLUMNS = ("class", "category", "class_name")
"""Columns whose whole numbers are classes, however many there are."""
UNIT = re.compile(r"(.*\S)\s*\(([^()]{1,12})\)")
OUTPUT = "target"
"""The name of an output that has none in the data."""


def are_quantities(known: NDArray[np.float64], num_samples: int, name: str = "") -> tuple[bool, str]:
    """Whether numbers are to be predicted, and why; (n,), of `num_samples`.

    >>> are_quantities(np.array([0.0, 1, 2]), 3), are_quantities(np.array([0.5, 1]), 2)
    ((False, 'as there are 3 different whole numbers, at most 20'), (True, 'as 0.5 is not whole'))
    >>> are_quantities(np.arange(100.0) ** 2, 100)
    (True, 'as there are 100 different whole numbers, more than a tenth as many as samples')
    >>> are_quantities(np.arange(100.0), 100)
    (False, 'as its whole numbers count from 0 to 99')
    """
    broken = known[known != np.floor(known)]
    if len(broken):
        return True, f"as {broken[0]:g} is not whole"
    different = np.unique(known)
    count, low, high = len(different), int(different[0]), int(different[-1])
    if name.lower() in CLASS_COLUMNS:
        return False, f"as its column is called {name!r}"
    if count <= FEW:
        return False, agree("as there (is|are) {n} different whole number(|s)", count) + f", at most {FEW}"
    if low in (0, 1) and high < DENSE * count:
        return False, f"as its whole numbers count from {low} to {high}"
    if count <= SHARE * num_samples:
        return False, f"as there are {count} different whole numbers, at most a tenth as many as samples"
    return True, f"as there are {count} different whole numbers, more than a tenth as many as samples"


def said(name: str, task: Task, why: str) -> str:
    """The line that says what a column holds, why, and how to overrule it."""
    if task == "regression":
        return f"{name!r} holds numbers to predict (regression), {why}; if they are classes: --task classification"
    return f"{name!r} holds classes, {why}; to predict numbers: --task regression"


def output_name(name: str) -> str:
    """The name of an output, with its unit in brackets.

    >>> output_name("fat (%)"), output_name("fat [%]"), output_name("age"), output_name("f(x) (m/s)")
    ('fat [%]', 'fat [%]', 'age', 'f(x) [m/s]')
    """
    match = UNIT.fullmatch(name.strip())
    return f"{match[1]} [{match[2]}]" if match and " (" in name else name.strip()


def check_task(task: str | None, known: Sequence[str], where: str) -> None:
    """Raises ConfigError for a task that the data can't be for; `known` are those that it can."""
    if task is not None and task not in known:
        rule = f"These data can be read for {' or '.join(known)}."
        raise ConfigError(rule, received=f"data.task={task}", where=where, fix="Choose one of these, or leave it out.")
