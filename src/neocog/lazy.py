"""Public names of a package that load when they are first used, so that a command imports only what it needs."""

import importlib
from collections.abc import Callable, Mapping

__all__ = ["loads"]


def loads(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package whose names live in these modules of it.

    >>> get = loads("collections", {"Mapping": "abc"})
    >>> get("Mapping").__name__
    'Mapping'
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return get
