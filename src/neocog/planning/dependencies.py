"""Dependencies of an operation's outputs on an input, as a chain of a few kinds of step.

Each step is followed forward, from what the input's elements see to what the output's see, and backward, from marked
elements of the output to the elements of the input that they are made of.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.arithmetic import Field, Taps
from neocog.planning.layout import Atom, Layout

__all__ = ["AtMost", "Everything", "Gather", "Marks", "Mix", "Move", "Same", "Slide", "Step"]

Marks = NDArray[np.bool_]


class Step(Protocol):
    """A step from an input to an output."""

    def forward(self, layout: Layout) -> Layout:
        """The fields of the output's elements."""
        ...

    def backward(self, marks: Marks, shape: tuple[int, ...]) -> Marks:
        """The elements of an input of this shape that the marked elements of the output read."""
        ...

    def shape_after(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The output's shape for an input of this shape."""
        ...


@dataclass(frozen=True, slots=True)
class Same(Step):
    """Each output reads the same place of the input, which may be broadcast."""

    shape: tuple[int, ...]

    def forward(self, layout: Layout) -> Layout:
        return layout.expand(self.shape)

    def backward(self, marks: Marks, shape: tuple[int, ...]) -> Marks:
        lead = tuple(range(marks.ndim - len(shape)))
        wide = tuple(i for i, size in enumerate(shape) if size == 1)
        found: Marks = np.any(np.any(marks, axis=lead), axis=wide, keepdims=True)
        return found

    def shape_after(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.shape


@dataclass(frozen=True, slots=True)
class Slide(Step):
    """Along some dimensions each output reads the places that the taps name."""

    taps: Mapping[int, Taps]
    sizes: Mapping[int, int]
    """The output's size along each of these dimensions."""

    def forward(self, layout: Layout) -> Layout:
        for dim, taps in self.taps.items():
            layout = layout.slide(dim, taps, self.sizes[dim])
        return layout

    def backward(self, marks: Marks, shape: tuple[int, ...]) -> Marks:
        for dim, taps in self.taps.items():
            rows = np.moveaxis(marks, dim, 0)
            read = np.zeros((shape[dim], *rows.shape[1:]), bool)
            for unit in np.flatnonzero(rows.any(axis=tuple(range(1, rows.ndim)))):
                places = [place for place in taps.of(int(unit)) if 0 <= place < shape[dim]]
                read[places] |= rows[unit]
            marks = np.moveaxis(read, 0, dim)
        return marks

    def shape_after(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.sizes[dim] if dim in self.taps else size for dim, size in enumerate(shape))


@dataclass(frozen=True, slots=True)
class Gather(Step):
    """A dimension becomes `size` channels, in equal groups; each reads all of its group of the input."""

    dim: int
    size: int
    groups: int = 1

    def forward(self, layout: Layout) -> Layout:
        return layout.channels(self.dim, self.groups, self.size)

    def backward(self, marks: Marks, shape: tuple[int, ...]) -> Marks:
        rows = np.moveaxis(marks, self.dim, 0)
        grouped = rows.reshape(self.groups, -1, *rows.shape[1:]).any(axis=1)
        return np.moveaxis(np.repeat(grouped, shape[self.dim] // self.groups, axis=0), 0, self.dim)

    def shape_after(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[: self.dim], self.size, *shape[self.dim + 1 :])


@dataclass(frozen=True, slots=True)
class Mix(Step):
    """Along some dimensions each output reads everything: softmax, normalisation."""

    dims: Sequence[int]

    def forward(self, layout: Layout) -> Layout:
        for dim in self.dims:
            layout = layout.mix(dim)
        return layout

    def backward(self, marks: Marks, shape: tuple[int, ...]) -> Marks:
        return np.broadcast_to(marks.any(axis=tuple(self.dims), keepdims=True), shape)

    def shape_after(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape


@dataclass(frozen=True, slots=True)
class Move(Step):
    """Elements go elsewhere, unchanged: torch itself moves the marks, and `follow` says what that does to a layout."""

    move: Callable[[Tensor], Tensor] = field(repr=False)
    follow: Callable[[Layout], Layout | None] = field(repr=False)
    shape: tuple[int, ...]

    def forward(self, layout: Layout) -> Layout:
        found = self.follow(layout)
        return Everything(self.shape).forward(layout) if found is None else found

    def backward(self, marks: Marks, shape: tuple[int, ...]) -> Marks:
        with torch.enable_grad():
            source = torch.zeros(shape, requires_grad=True)
            (read,) = torch.autograd.grad(self.move(source), source, torch.from_numpy(marks.astype(np.float32)))
        return read.numpy() > 0

    def shape_after(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.shape


@dataclass(frozen=True, slots=True)
class AtMost(Step):
    """Changes nothing, and says that the other steps of a chain read more than the operation may."""

    def forward(self, layout: Layout) -> Layout:
        return replace(layout, exact=False)

    def backward(self, marks: Marks, shape: tuple[int, ...]) -> Marks:
        return marks

    def shape_after(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape


@dataclass(frozen=True, slots=True)
class Everything(Step):
    """Each output may read all of the input: what is assumed of an operation that is not known."""

    shape: tuple[int, ...]

    def forward(self, layout: Layout) -> Layout:
        for dim in range(len(layout.dims)):
            layout = layout.mix(dim)
        axes = range(len(layout.seen[0]))
        seen = tuple(Field((layout.fields[axis].windows[0],)) for axis in axes)
        dims = tuple((Atom(None, size),) for size in self.shape)
        return replace(layout, dims=dims, kinds=np.zeros([1] * len(dims), np.intp), seen=(seen,), exact=False)

    def backward(self, marks: Marks, shape: tuple[int, ...]) -> Marks:
        return np.full(shape, bool(marks.any()))

    def shape_after(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.shape
