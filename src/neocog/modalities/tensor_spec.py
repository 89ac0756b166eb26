"""The arrays that a program outside of Neocog gives to a network and gets from it: name, type and shape."""

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["ElementType", "TensorSpec"]

ElementType = Literal["uint8", "uint16", "int64", "float32", "bytes"]
"""As NumPy names it; bytes: a text or a file of any length for each element."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An array of a network's interface. The first axis of its shape is the batch; None is any size.

    >>> TensorSpec("images", "uint8", (None, None, None, 3)).to_json()
    {'name': 'images', 'dtype': 'uint8', 'shape': [None, None, None, 3]}
    """

    name: str
    dtype: ElementType
    shape: tuple[int | None, ...]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}
