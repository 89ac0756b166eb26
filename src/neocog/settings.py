"""How a section of settings is declared: a frozen dataclass beside the code that reads it.

The annotations give types and ranges, which are checked when a section is made; the docstring of a field is its help.
A section may define `ignored`, which names the fields that the other fields make ineffective.
"""

from typing import Protocol, runtime_checkable

from pydantic import ConfigDict

__all__ = ["SETTINGS", "HasIgnored", "whole_number"]

SETTINGS = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


@runtime_checkable
class HasIgnored(Protocol):
    """A section that knows which of its fields would be ignored, and why."""

    def ignored(self) -> dict[str, str]:
        """Field -> reason, worded to follow "because"."""
        ...


def whole_number(value: object) -> object:
    """A number that is written as text, as a number; for fields that are a `Literal` or optional.

    >>> whole_number("8"), whole_number("own")
    (8, 'own')
    """
    return int(value) if isinstance(value, str) and value.isdecimal() else value
