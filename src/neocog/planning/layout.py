"""Where the axes of the input are in a tensor's dimensions, and what each of its elements sees.

A dimension is made of atoms, in row-major order: pieces of channels, or a whole axis of the input at this tensor's
resolution. Flattening (C, H, W) gives one dimension of three atoms; the channel shuffle splits one atom in two and
swaps them. So every reshape that keeps axes whole is followed exactly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.arithmetic import Field, Taps

__all__ = ["Atom", "Fields", "Layout", "join_all"]

Fields = tuple[Field, ...]  # one for each axis of the input


class Atom(NamedTuple):
    """A piece of a dimension: an axis of the input, by number, or channels where `axis` is None."""

    axis: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """`kinds` has a dimension for each channel atom, of its size, or of 1 where all along it see the same; it holds
    indices into `seen`."""

    dims: tuple[tuple[Atom, ...], ...]
    kinds: NDArray[np.intp]
    seen: tuple[Fields, ...]
    exact: bool = True
    """False where some operation on the way was taken to read more than it may: the fields are upper bounds."""

    @classmethod
    def of_input(cls, shape: Sequence[int], first_axis: int) -> "Layout":
        """The input itself: dimensions from `first_axis` on are its axes, and each sample sees itself."""
        dims = [(Atom(i - first_axis if i >= first_axis else None, size),) for i, size in enumerate(shape)]
        return cls(tuple(dims), np.zeros([1] * first_axis, np.intp), ((Field(),) * (len(shape) - first_axis),))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(prod(atom.size for atom in dim) for dim in self.dims)

    def units(self, axis: int) -> int:
        """Positions of this tensor along an axis of the input; 1 where the axis is gone."""
        return next((atom.size for dim in self.dims for atom in dim if atom.axis == axis), 1)

    @property
    def fields(self) -> Fields:
        """The joint field of all channels, for each axis."""
        return reduce(self.join_fields, (self.seen[kind] for kind in np.unique(self.kinds)))

    def join_fields(self, a: Fields, b: Fields) -> Fields:
        return a if a == b else tuple(x.join(y, self.units(axis)) for axis, (x, y) in enumerate(zip(a, b, strict=True)))

    def places(self, dim: int) -> list[int]:
        """The dimensions of `kinds` that belong to a dimension."""
        before = sum(atom.axis is None for other in self.dims[:dim] for atom in other)
        return list(range(before, before + sum(atom.axis is None for atom in self.dims[dim])))

    def with_dim(self, dim: int, atoms: Sequence[Atom], kinds: NDArray[np.intp] | None = None) -> "Layout":
        dims = (*self.dims[:dim], tuple(atoms), *self.dims[dim + 1 :])
        return replace(self, dims=dims, kinds=self.kinds if kinds is None else kinds)

    def mix(self, dim: int) -> "Layout":
        """Elements along a dimension all see what any of them sees."""
        found = self
        for atom in self.dims[dim]:
            if atom.axis is not None:
                found = replace(found, seen=along_axis(found.seen, atom.axis, Taps.all(atom.size), 1))
        for place in self.places(dim):
            found = found.gather(place, 1)
        return found

    def gather(self, place: int, groups: int) -> "Layout":
        """Join along a dimension of `kinds` within equal groups; it then has one entry for each group."""
        size = self.kinds.shape[place]
        if size == 1 or size == groups:
            return self
        rows = np.moveaxis(self.kinds, place, -1)
        rows = rows.reshape(*rows.shape[:-1], groups, size // groups)
        table, seen = {frozenset([kind]): kind for kind in range(len(self.seen))}, list(self.seen)
        flat = np.empty(prod(rows.shape[:-1]), np.intp)
        for i, row in enumerate(rows.reshape(len(flat), -1)):
            kinds = frozenset(row.tolist())
            if kinds not in table:
                table[kinds] = len(seen)
                seen.append(reduce(self.join_fields, (self.seen[kind] for kind in kinds)))
            flat[i] = table[kinds]
        kinds_after = np.moveaxis(flat.reshape(rows.shape[:-1]), -1, place)
        return replace(self, kinds=kinds_after, seen=tuple(seen)).tidy()

    def tidy(self) -> "Layout":
        """The same with each kind of field once, and without dimensions of `kinds` along which all is the same."""
        table: dict[Fields, int] = {}
        used, inverse = np.unique(self.kinds, return_inverse=True)
        codes = np.array([table.setdefault(self.seen[kind], len(table)) for kind in used])
        kinds = codes[inverse].reshape(self.kinds.shape)
        for place in range(kinds.ndim):
            if kinds.shape[place] > 1 and (kinds == kinds.take([0], axis=place)).all():
                kinds = kinds.take([0], axis=place)
        return replace(self, kinds=kinds, seen=tuple(table))

    def plain(self, dim: int) -> "Layout":
        """The same with this dimension as one atom of channels; axes in it are first mixed, and so lost."""
        atoms = self.dims[dim]
        if len(atoms) == 1 and atoms[0].axis is None:
            return self
        found = self.mix(dim) if any(atom.axis is not None for atom in atoms) else self
        places, size = found.places(dim), prod(atom.size for atom in atoms)
        kinds = found.kinds
        if all(kinds.shape[place] == 1 for place in places):
            shape: list[int] = [1]
        else:
            sizes = [atom.size for atom in atoms]
            full = [sizes[places.index(i)] if i in places else n for i, n in enumerate(kinds.shape)]
            kinds, shape = np.broadcast_to(kinds, full), [size]
        begin = places[0] if places else sum(len(found.places(other)) for other in range(dim))
        kinds = kinds.reshape(*kinds.shape[:begin], *shape, *kinds.shape[begin + len(places) :])
        return found.with_dim(dim, [Atom(None, size)], kinds)

    def loose(self, dim: int) -> "Layout":
        """As `plain`, where places along a lost axis are not really joined: the fields are then upper bounds."""
        lost = any(atom.axis is not None and atom.size > 1 for atom in self.dims[dim])
        return replace(self.plain(dim), exact=self.exact and not lost)

    def channels(self, dim: int, groups: int, size: int) -> "Layout":
        """A dimension replaced by `size` channels, each of which reads one group of it: a convolution or product."""
        found = self.plain(dim)
        found = found.gather(found.places(dim)[0], groups)
        place = found.places(dim)[0]
        kinds = found.kinds
        if kinds.shape[place] > 1:
            kinds = np.repeat(kinds, size // kinds.shape[place], axis=place)
        return found.with_dim(dim, [Atom(None, size)], kinds)

    def slide(self, dim: int, taps: Taps, size: int) -> "Layout":
        """A dimension of which each of `size` outputs reads some places."""
        atoms = [atom for atom in self.dims[dim] if atom.axis is not None or atom.size > 1]
        if len(atoms) != 1 or atoms[0].axis is None:
            return self.channels(dim, 1, size)
        axis = atoms[0].axis
        kinds = self.kinds.squeeze(tuple(self.places(dim)))
        return replace(self, seen=along_axis(self.seen, axis, taps, size)).with_dim(dim, [Atom(axis, size)], kinds)

    def take(self, dim: int, indices: Sequence[int]) -> "Layout":
        """Some channels of a dimension, by index."""
        found = self.loose(dim)
        place = found.places(dim)[0]
        kinds = found.kinds if found.kinds.shape[place] == 1 else found.kinds.take(indices, axis=place)
        return found.with_dim(dim, [Atom(None, len(indices))], kinds).tidy()

    def cut(self, dim: int, places: Sequence[int], step: int = 1) -> "Layout":
        """Evenly spaced places of a dimension: taken from channels, slid over an axis."""
        if any(atom.axis is not None for atom in self.dims[dim]) and places:
            return self.slide(dim, Taps(step, ((places[0],),)), len(places))
        return self.take(dim, places)

    def put(self, dim: int, begin: int, size: int) -> "Layout":
        """The same at some place of another dimension, cut where it reaches out; added channels see nothing."""
        if any(atom.axis is not None for atom in self.dims[dim]):
            return self.slide(dim, Taps(1, ((-begin,),)), size)
        found = self.take(dim, range(max(-begin, 0), min(self.shape[dim], size - begin)))
        begin = max(begin, 0)
        place = found.places(dim)[0]
        nothing = len(found.seen)
        shape = [found.shape[dim] if i == place else n for i, n in enumerate(found.kinds.shape)]
        around = [(0, 0)] * len(shape)
        around[place] = (begin, size - begin - shape[place])
        kinds = np.pad(np.broadcast_to(found.kinds, shape), around, constant_values=nothing)
        seen = (*found.seen, (Field((None,)),) * len(found.seen[0]))
        return replace(found.with_dim(dim, [Atom(None, size)], kinds), seen=seen)

    def permute(self, order: Sequence[int]) -> "Layout":
        """The dimensions in another order."""
        places = [place for dim in order for place in self.places(dim)]
        return replace(self, dims=tuple(self.dims[dim] for dim in order), kinds=self.kinds.transpose(places))

    def insert(self, dim: int, size: int = 1) -> "Layout":
        """A new dimension before this one, along which all is the same."""
        place = sum(len(self.places(other)) for other in range(dim))
        dims = (*self.dims[:dim], (Atom(None, size),), *self.dims[dim:])
        return replace(self, dims=dims, kinds=np.expand_dims(self.kinds, place))

    def remove(self, dim: int) -> "Layout":
        """Without a dimension of which one place is left."""
        found = self.channels(dim, 1, 1)
        kinds = found.kinds.squeeze(found.places(dim)[0])
        return replace(found, dims=(*found.dims[:dim], *found.dims[dim + 1 :]), kinds=kinds)

    def regroup(self, shape: Sequence[int]) -> "Layout | None":
        """The same elements in row-major order in another shape, or None if an axis would be cut unevenly.

        An axis cut into pieces of k becomes an axis of pieces, each of which sees its k places, and k channels; an
        axis beside channels that are alike, in one dimension, is an axis on which each place occurs several times.
        """
        atoms = [atom for dim in self.dims for atom in dim]
        kinds, place, seen = self.kinds, 0, self.seen
        dims: list[tuple[Atom, ...]] = []
        for size in shape:
            dim: list[Atom] = []
            while size > 1 or (atoms and atoms[0].size == 1 and len(dims) == len(shape) - 1):
                atom = atoms.pop(0)
                if size % atom.size and atom.size % size:
                    return None
                if atom.size > size:  # split it: the rest goes to the next dimension
                    rest = atom.size // size
                    if atom.axis is None:
                        split = [1, 1] if kinds.shape[place] == 1 else [size, rest]
                        kinds = kinds.reshape(*kinds.shape[:place], *split, *kinds.shape[place + 1 :])
                    else:
                        kinds = np.expand_dims(kinds, place)
                        seen = along_axis(seen, atom.axis, Taps(rest, (tuple(range(rest)),)), size)
                    atoms.insert(0, Atom(None, rest))
                    atom = Atom(atom.axis, size)
                dim.append(atom)
                place += atom.axis is None
                size //= atom.size
            if not dim:  # a dimension of 1: take an atom of 1 if one is next
                if atoms and atoms[0].size == 1:
                    dim.append(atoms.pop(0))
                    place += dim[0].axis is None
                else:
                    kinds = np.expand_dims(kinds, place)
                    dim.append(Atom(None, 1))
                    place += 1
            dims.append(tuple(dim))
        found = replace(self, dims=tuple(dims), kinds=kinds, seen=seen)
        return found.repeated() if not atoms else None

    def repeated(self) -> "Layout":
        """The same with an axis and alike channels behind it, where they are all of a dimension, as a longer axis."""
        found = self
        for dim, atoms in enumerate(self.dims):
            large = [atom for atom in atoms if atom.size > 1]
            places = found.places(dim)
            if [atom.axis is None for atom in large] == [False, True] and all(
                found.kinds.shape[place] == 1 for place in places
            ):
                axis, times = large[0].axis, large[1].size
                assert axis is not None
                size = large[0].size * times
                seen = along_axis(found.seen, axis, Taps(1, ((0,),) * times), size)
                kinds = found.kinds.squeeze(tuple(places))
                found = replace(found, seen=seen).with_dim(dim, [Atom(axis, size)], kinds)
        return found

    def expand(self, shape: Sequence[int]) -> "Layout":
        """Broadcast to this shape, as torch does it."""
        found = self
        for _ in range(len(shape) - len(self.dims)):
            found = found.insert(0)
        for dim, size in enumerate(shape):
            if found.shape[dim] == 1 and size > 1:
                found = found.channels(dim, 1, 1).with_dim(dim, [Atom(None, size)]) if found.dims[dim] else found
        return found

    def join(self, other: "Layout", shape: Sequence[int]) -> "Layout":
        """The layout of an elementwise result of two tensors, each broadcast to this shape."""
        a, b = self.expand(shape), other.expand(shape)
        a, b = apart(a, b), apart(b, a)
        for dim in range(len(shape)):
            if a.dims[dim] != b.dims[dim]:
                a, b = aligned(a, b, dim)
        units = {atom.axis: atom.size for dim in a.dims for atom in dim}
        pairs: dict[tuple[int, int], int] = {}
        seen: list[Fields] = []
        left, right = np.broadcast_arrays(a.kinds, b.kinds)
        codes, inverse = np.unique(left * len(b.seen) + right, return_inverse=True)
        for code in codes:
            i, j = divmod(int(code), len(b.seen))
            pairs[i, j] = len(seen)
            both = zip(a.seen[i], b.seen[j], strict=True)
            seen.append(tuple(x.join(y, units.get(axis, 1)) for axis, (x, y) in enumerate(both)))
        return Layout(a.dims, inverse.reshape(left.shape), tuple(seen), a.exact and b.exact).tidy()


def along_axis(seen: Sequence[Fields], axis: int, taps: Taps, size: int) -> tuple[Fields, ...]:
    """The fields behind an operation that reads along one axis and gives `size` places."""
    return tuple((*fields[:axis], fields[axis].through(taps, size), *fields[axis + 1 :]) for fields in seen)


def apart(layout: Layout, other: Layout) -> Layout:
    """The same without those axes that are in another dimension of the other: a product of all pairs of places.

    Such an element sees two places, and no one place moves with it.
    """
    where = {atom.axis: dim for dim, atoms in enumerate(other.dims) for atom in atoms if atom.axis is not None}
    for dim, atoms in enumerate(layout.dims):
        if any(where.get(atom.axis, dim) != dim for atom in atoms if atom.axis is not None):
            layout = layout.loose(dim)
    return layout


def aligned(a: Layout, b: Layout, dim: int) -> tuple[Layout, Layout]:
    """The two with the same atoms in this dimension: a broadcast one takes those of the other; else axes are lost."""
    for one, two, swapped in ((a, b, False), (b, a, True)):
        places = one.places(dim)
        still = all(atom.axis is None for atom in one.dims[dim]) and all(one.kinds.shape[p] == 1 for p in places)
        if still:
            bare = replace(one, kinds=one.kinds.squeeze(tuple(places)) if places else one.kinds)
            count = sum(atom.axis is None for atom in two.dims[dim])
            kinds = np.expand_dims(bare.kinds, tuple(range(first_place(one, dim), first_place(one, dim) + count)))
            like = one.with_dim(dim, two.dims[dim], kinds)
            return (two, like) if swapped else (like, two)
    return a.loose(dim), b.loose(dim)


def first_place(layout: Layout, dim: int) -> int:
    return sum(len(layout.places(other)) for other in range(dim))


def join_all(layouts: Iterable[Layout], shape: Sequence[int]) -> Layout:
    """The layout of an elementwise result of several tensors."""
    first, *others = layouts
    return reduce(lambda a, b: a.join(b, shape), others, first.expand(shape))
