"""What loads when it is first used, so that a command imports only what it needs."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["calls", "loads"]


def calls(module: str, name: str) -> Callable[..., Any]:
    """A function that stands for this one of a module, which is imported with the first call.

    >>> calls("math", "sqrt")(16)
    4.0
    """

    def call(*given: Any, **settings: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*given, **settings)

    return call


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
