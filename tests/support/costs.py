"""Marks tests by what makes them slow, so that `make test-fast` can leave them out without a mark at each.

The marks follow from the names that a test, its fixtures and the functions of its file that they call use: `train` if
they train a network, `subprocess` if they start processes, `browser` if they open a page. `long` follows from the file.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LONG = (
    "tests/zoo",
    "tests/arithmetic/test_sizes.py",
    "tests/data/test_damage.py",
    "tests/data/test_traps.py",
    "tests/planning/test_receptive_fields.py",
)
"""Whole networks, and sweeps over hundreds of cases: slow without training."""
TRAINS = {"train", "resume", "extend", "fit", "find_rate", "find_batch", "find_samples", "evaluate", "finished_run"}
"""Functions and fixtures that train, or that need a model which was trained."""
COMMANDS = {"train", "eval", "find", "launch"}
"""The commands that do so, as arguments of `main`."""
STARTS = {"subprocess", "multiprocessing", "Popen", "run_ranks", "ranks"}


def mark_costs(item: pytest.Function) -> None:
    """Add the marks of one test."""
    names, texts = set(item.fixturenames), set[str]()
    fixtures = (fixture for several in item._fixtureinfo.name2fixturedefs.values() for fixture in several)
    for function in (item.function, *(fixture.func for fixture in fixtures)):
        for globals_used, texts_used in reached(function):
            names |= globals_used
            texts |= texts_used
    if any(item.path.is_relative_to(ROOT / place) for place in LONG):
        item.add_marker("long")
    if names & TRAINS or ("main" in names and texts & COMMANDS):
        item.add_marker("train")
    if names & STARTS:
        item.add_marker("subprocess")
    if "browser" in names:
        item.add_marker("browser")


def reached(function: Callable[..., Any]) -> Iterator[tuple[set[str], set[str]]]:
    """The global names and the strings in a function, in those within it, and in those of its file that it uses."""
    waiting: list[Any] = [function]
    seen: set[CodeType] = set()
    while waiting:
        current = waiting.pop()
        current = getattr(current, "__wrapped__", current)
        codes = [current.__code__] if isinstance(current, FunctionType) else []
        while codes:
            code = codes.pop()
            if code not in seen:
                seen.add(code)
                used = {name: current.__globals__[name] for name in code.co_names if name in current.__globals__}
                waiting += [value for value in used.values() if getattr(value, "__module__", "") == current.__module__]
                codes += [value for value in code.co_consts if isinstance(value, CodeType)]
                yield set(used), {value for value in code.co_consts if isinstance(value, str)}
