"""How a section of settings is declared: a frozen dataclass beside the code that reads it.

Types and ranges stand in the annotations and are checked when it is made; the sentence below each field is its help.
A section may define `ignored`, which names the fields that have no effect as the others stand.
"""

from typing import Protocol, runtime_checkable

from pydantic import ConfigDict

__all__ = ["SETTINGS", "HasIgnored"]

SETTINGS = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


@runtime_checkable
class HasIgnored(Protocol):
    """A section that can tell which of its fields would be ignored, and why."""

    def ignored(self) -> dict[str, str]:
        """Field -> reason, in words that follow "because"."""
        ...
