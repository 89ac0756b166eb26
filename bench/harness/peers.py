"""Peers that may not be installed."""

import importlib
from typing import Any

__all__ = ["import_peer"]


def import_peer(module: str) -> tuple[Any, str]:
    """The module, or None, with the reason why it cannot take part.

    >>> import_peer("no_such_library")[1]
    'not installed'
    """
    try:
        return importlib.import_module(module), ""
    except ModuleNotFoundError:
        return None, "not installed"
    except Exception as error:  # such as PyPI's torchvision beside a torch for CPUs
        return None, f"cannot be imported: {type(error).__name__}: {error}"
