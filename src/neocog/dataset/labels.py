"""Labels as Python objects hold them: numbers or names, in arrays, tensors or lists."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.dataset.class_names import number_classes, ordered_names
from neocog.errors import DataError, did_you_mean, some

__all__ = ["Labels", "is_hidden", "number_labels", "plain_array", "plain_labels"]

Labels = NDArray[np.int64] | list[str]
"""A class's number for each record, or its name."""


def plain_array(values: object, where: str) -> NDArray[Any] | None:
    """An array or tensor as an array in main memory; None for anything else. Raises DataError for a sparse tensor."""
    if isinstance(values, torch.Tensor):
        try:
            dense = values.detach().cpu()
            found: NDArray[Any] = (dense.float() if dense.dtype == torch.bfloat16 else dense).numpy()
        except (RuntimeError, TypeError) as error:
            raise DataError(f"A tensor must be dense and hold values. Received: {error}, in {where}.") from error
        return found
    return values if isinstance(values, np.ndarray) else None


def plain_labels(labels: Any, where: str) -> Labels:
    """Numbers as one array, names as a list; a column (N, 1) as a vector. Raises DataError for anything else."""
    array = plain_array(labels, where)
    if array is None and isinstance(labels, list | tuple):
        return listed_labels(labels, where)
    if array is not None and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array is None or array.ndim != 1 or array.dtype.kind not in "iubUO":
        received = type(labels).__name__ if array is None else f"{array.dtype} {array.shape}"
        raise DataError(
            f"Labels must be whole numbers or names, one for each record. Received: {received}, in {where}. Convert "
            "floats with y.astype(int), rows of 0 and 1 with y.argmax(1)."
        )
    if array.dtype.kind in "UO":
        return listed_labels(array.tolist(), where)
    return listed_labels(array.tolist(), where) if array.dtype == np.uint64 else array.astype(np.int64)


def is_hidden(labels: Any) -> bool:
    """Whether labels are there for no record: none at all, None for each, or -1 for each.

    >>> is_hidden(None), is_hidden([-1, -1]), is_hidden(np.array([-1, 0])), is_hidden([])
    (True, True, False, False)
    """
    if labels is None:
        return True
    array = plain_array(labels, "the labels")
    if array is not None:
        return array.dtype.kind in "iuf" and array.size > 0 and bool(((array == -1) | np.isnan(array)).all())
    if not isinstance(labels, list | tuple) or not labels:
        return False
    found = [plain_label(label) for label in labels]
    return all(label is None for label in found) or all(isinstance(label, int) and label == -1 for label in found)


def listed_labels(labels: Sequence[Any], where: str) -> Labels:
    found = [plain_label(label) for label in labels]
    kinds = {type(label) for label in found}
    if kinds == {str}:
        return found
    wrong = next((k for k, label in enumerate(found) if not isinstance(label, int)), None)
    if wrong is not None:
        raise DataError(
            "Labels must be whole numbers, or names, one for each record. Received: "
            f"{str(labels[wrong])[:60]!r} ({type(labels[wrong]).__name__}) at record {wrong}, in {where}. Make all of "
            "one kind."
        )
    try:
        return np.array(found, np.int64)
    except OverflowError as error:
        raise DataError(f"Labels number the classes from 0. Received: {max(found, key=abs)}, in {where}.") from error


def plain_label(label: Any) -> Any:
    """A label as int or str, where it is one."""
    if isinstance(label, torch.Tensor | np.ndarray) and label.ndim == 0:
        label = label.item()
    if isinstance(label, str):
        return str(label)
    return int(label) if isinstance(label, int | np.integer | np.bool_) else label


def number_labels(
    labels: Mapping[str, Labels], classes: tuple[str, ...] | None, name: str
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...], tuple[str, ...]]:
    """The class of each record by split, the names of the classes, and what a user should know of them.

    Without names given, the classes are what the labels say.

    Raises DataError where labels are names in one split and numbers in another, or no class is called so.
    """
    if classes is not None and (len(set(classes)) < len(classes) or not all(isinstance(c, str) for c in classes)):
        raise DataError(f"Each class needs a name of its own. Received: {some(map(repr, classes), 20)}, for {name}.")
    named = {split: own for split, own in labels.items() if isinstance(own, list)}
    numbers = {split: own for split, own in labels.items() if not isinstance(own, list)}
    if named and numbers:
        raise DataError(
            f"Labels must be of one kind in all splits. {name} has names in {some(named)}, numbers in {some(numbers)}."
        )
    if numbers:
        if classes is not None:
            return numbers, classes, ()
        classes, numbers, notices = number_classes(name, numbers)
        return numbers, classes, notices
    found = {label for own in named.values() for label in own}
    if classes is None:
        classes = ordered_names(found, name)
    unknown = sorted(found - set(classes))
    if unknown:
        raise DataError(f"No class of {name} is called {unknown[0]!r}. {did_you_mean(unknown[0], classes)}")
    number = {called: k for k, called in enumerate(classes)}
    return {split: np.array([number[label] for label in own], np.int64) for split, own in named.items()}, classes, ()
