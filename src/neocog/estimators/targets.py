"""Checks of y that the classifier and the regressor share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from neocog.estimators.inputs import InputError
from neocog.estimators.settings import ParameterError

__all__ = ["dense_array", "output_names", "refuse_fit_params", "refuse_no_targets"]


def refuse_fit_params(name: str, given: Mapping[str, Any]) -> None:
    """Raises ParameterError for weights of samples, and for what `fit` doesn't take at all."""
    for key, value in given.items():
        if key != "sample_weight":
            raise ParameterError(f"{name}.fit takes X and y.", received=key, fix="Leave it out.")
        if value is not None:
            raise ParameterError(
                f"{name} can't weigh single samples.", received="sample_weight",
                fix="Leave it out, weigh classes by class_weight, or repeat samples in X and y.",
            )  # fmt: skip


def refuse_no_targets(name: str, y: Any) -> None:
    """Raises InputError without y."""
    if y is None:
        raise InputError(f"{name} requires y to be passed, but the target y is None.")


def dense_array(y: Any) -> Any:
    """y as an array; a sparse matrix of labels as a dense one."""
    return y.toarray() if sparse.issparse(y) else np.asarray(y)


def output_names(y: Any) -> tuple[str, ...]:
    """The names of the outputs, from a data frame or a series; none for other y.

    >>> output_names([1.0, 2.0])
    ()
    """
    if hasattr(y, "columns"):
        names = tuple(map(str, y.columns))
    else:
        names = (str(y.name),) if getattr(y, "name", None) is not None else ()
    return names if len(set(names)) == len(names) else ()
