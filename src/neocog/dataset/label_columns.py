"""From the cells of the columns of labels to the targets of a table's rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.columns import Columns, multi_hot, one_label, split_tags
from neocog.dataset.labels import Spellings, numbers_of, order_names, order_texts
from neocog.dataset.record import Task
from neocog.dataset.targets import LABEL_TASKS, Decision, check_task, decide
from neocog.errors import ConfigError

__all__ = ["LabelRows", "read_labels"]

Cells = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class LabelRows:
    """The labels of a table's rows."""

    task: Task
    classes: tuple[str, ...]
    targets: NDArray[Any]
    """As `Source.targets` holds them."""
    shown: list[tuple[str, ...]]
    """Those of each row, for people; rows with equal ones have equal targets."""
    notices: tuple[str, ...] = ()


def read_labels(
    columns: Columns,
    cells: Sequence[Cells],
    place: Callable[[int], str],
    where: str,
    *,
    noun: str,
    fix: str,
    task: str | None = None,
    write: Callable[[Any], str] = str,
) -> LabelRows:
    """The labels of rows, of which `cells` holds the values of the columns of labels, and `place` tells the line.

    `noun` and `fix` are for an error about a row without a label, `write` makes a class's name of a value. Raises
    ConfigError for a task that the columns can't be for, DataError for cells that have no meaning.
    """
    check_task(task, LABEL_TASKS, where)
    if columns.kind == "tags":
        if task in ("classification", "regression"):
            received, called = f"data.task={task}", repr(columns.labels[0])
            rule = f"A column called {called} holds several labels for each sample."
            hint = f"Leave it out, or name the column of the label: --data.label_column {columns.labels[0]}."
            raise ConfigError(rule, received=received, where=where, fix=hint)
        return read_tags(cells, where)
    by_column = dict(zip(columns.labels, zip(*cells, strict=True), strict=True))
    if task == "multi-label" and columns.kind == "label" and has_tags(by_column[columns.labels[0]]):
        return read_tags(cells, where)
    found = decide(by_column, where, task)
    if found.task != "classification":
        return as_rows(found)
    spellings, column = Spellings(), columns.labels[0]
    names = [one_label(write(value), value, column, spellings, place(k), noun, fix) for k, (value,) in enumerate(cells)]
    classes = order_texts(set(names)) if task == "classification" else order_names(set(names), where)
    return LabelRows("classification", classes, numbers_of(names, classes), [(name,) for name in names], found.notices)


def has_tags(values: Sequence[Any]) -> bool:
    """Whether a column holds tags: lists, or texts other than 0 and 1."""
    return any(isinstance(value, list) or (isinstance(value, str) and value.strip() not in "01") for value in values)


def read_tags(cells: Sequence[Cells], where: str) -> LabelRows:
    tags = split_tags([value for (value,) in cells], where)
    classes = order_names({name for names in tags for name in names}, where)
    notices = (ONE_EACH,) if all(len(names) == 1 for names in tags) else ()
    return LabelRows("multi-label", classes, multi_hot(tags, classes, where), tags, notices)


ONE_EACH = "each sample has exactly one label; a column called label would make this single-label classification"


def as_rows(found: Decision) -> LabelRows:
    """Columns of 0 and 1 in the order of their names; numbers in that of the table."""
    assert found.values is not None, "classes are read by name"
    targets = found.targets
    if found.task == "regression":
        shown = [tuple("" if value != value else f"{value:.10g}" for value in row) for row in found.values.tolist()]
        return LabelRows("regression", found.names, targets, shown, found.notices)
    classes = order_texts(found.names)
    targets = np.ascontiguousarray(targets[:, numbers_of(list(classes), found.names)])
    # A label that isn't known is told from one that is absent.
    texts = [(name, f"{name} not known") for name in classes]
    shown = [tuple(texts[k][int(value != value)] for k, value in enumerate(row) if value) for row in targets.tolist()]
    single = targets.dtype == bool and bool((targets.sum(axis=1) == 1).all())
    return LabelRows("multi-label", classes, targets, shown, (*found.notices, *((ONE_EACH,) if single else ())))
