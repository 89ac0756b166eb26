"""Importing torch without the rules for tensors that have shapes and no values, which only tracing needs.

They are a quarter to a third of the time that `import torch` takes: a Python function for each of several hundred
operators, and the compiler's decompositions that these import. A program that computes with values never calls one.
They are loaded as soon as anything asks for them: with the first module of torch that is imported afterwards (the
compiler, the exporter), or by `complete_torch`.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from threading import RLock
from types import ModuleType

__all__ = ["complete_torch", "import_light_torch"]

RULES = "torch._meta_registrations"


class Rules(ModuleType):
    """Stands for the rules while torch is imported; whoever reads a name from it gets the real one."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        complete_torch()
        return getattr(sys.modules[RULES], name)


class Completer:
    """Loads the rules before the first module of torch that is imported after torch itself.

    Before, because those modules import one another in circles that close only in torch's own order.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self.missing = True

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        if name == RULES:  # they are about to be loaded anyway
            self.retire()
        elif name.startswith("torch."):
            self.complete()
        return None

    def retire(self) -> bool:
        """Leave the imports alone from now on; whether there is still something to load."""
        with self.lock:
            missing, self.missing = self.missing, False
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            return missing

    def complete(self) -> None:
        with self.lock:
            if self.retire():
                if isinstance(sys.modules.get(RULES), Rules):
                    del sys.modules[RULES]
                importlib.import_module(RULES)


completers: list[Completer] = []


def import_light_torch() -> None:
    """Import torch without the rules; does nothing if torch is there already, or has no such module."""
    if "torch" in sys.modules or RULES in sys.modules:
        return
    completer = Completer()
    completers.append(completer)
    placeholder = Rules(RULES)
    sys.modules[RULES] = placeholder
    import torch

    if sys.modules.get(RULES) is placeholder:
        del sys.modules[RULES]
    if vars(torch).get("_meta_registrations") is placeholder:
        del torch._meta_registrations
    if completer.missing:
        sys.meta_path.insert(0, completer)


def complete_torch() -> None:
    """Load the rules, if torch was imported without them."""
    for completer in completers:
        completer.complete()
