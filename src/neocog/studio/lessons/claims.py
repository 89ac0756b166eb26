"""The claims of lessons: each one is computed with Neocog, and no text is evaluated.

A claim is data: the name of a checker, its arguments, and the value that the lesson states. The page can show the line
of Python that computes it.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from neocog.errors import ConfigError, did_you_mean
from neocog.studio.lessons.checkers import CHECKERS

__all__ = ["claim_code", "compute", "holds", "plain"]


def compute(check: str, args: Mapping[str, Any]) -> Any:
    """The engine's value, in plain numbers and lists. Raises ConfigError for a checker that isn't in the list.

    >>> compute("conv_output", {"size": 32, "kernel_size": 5})
    28
    """
    if check not in CHECKERS:
        raise ConfigError(f"No checker is called {check!r}. {did_you_mean(check, CHECKERS)}")
    return plain(CHECKERS[check].function(**args))


def plain(value: Any) -> Any:
    """Numbers, lists and texts as JSON has them; whole floats stay floats."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Sequence | range) and not isinstance(value, str):
        return [plain(each) for each in value]
    return value


def holds(found: Any, stated: Any, within: float = 1e-9) -> bool:
    """Whether a value is the stated one, numbers within a tolerance, of their size or absolutely.

    >>> holds([4.0, 0.0], [4, 0]), holds(61706, 61_705), holds(9.537e-7, 9.54e-7, within=1e-3)
    (True, False, True)
    """
    if isinstance(found, bool) or isinstance(stated, bool):
        return found is stated
    if isinstance(found, list) and isinstance(stated, list):
        return len(found) == len(stated) and all(holds(a, b, within) for a, b in zip(found, stated, strict=True))
    if isinstance(found, int | float) and isinstance(stated, int | float):
        return math.isclose(found, stated, rel_tol=within, abs_tol=1e-9)
    return bool(found == stated)


def claim_code(check: str, args: Mapping[str, Any]) -> str:
    """The Python lines that compute a claim.

    >>> print(claim_code("conv_output", {"size": 32, "kernel_size": 5}))
    from neocog.arithmetic import conv_output
    <BLANKLINE>
    print(conv_output(size=32, kernel_size=5))
    """
    given = ", ".join(f"{name}={value!r}" for name, value in args.items())
    return f"from {CHECKERS[check].module} import {check}\n\nprint({check}({given}))"
