"""Tensors under foreign names, brought under ours."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from neocog.errors import CheckpointError, some

__all__ = ["KeyMap", "translate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMap:
    """The names of another library for the parts of one of our networks."""

    names: Mapping[str, str]
    """Ours -> theirs. Both sides are modules, whose tensors have the same names in both, or single tensors."""
    unused: tuple[str, ...] = ()
    """How foreign keys begin that have no place in our network, by design: heads that only help in training."""
    older: Mapping[str, str] | None = None
    """Parts of keys as older files spell them -> as newer ones do."""

    def theirs(self, key: str) -> str:
        """The foreign key of one of our tensors: mapped itself, or within its module."""
        module, _, tensor = key.rpartition(".")
        return self.names.get(key) or f"{self.names[module]}.{tensor}"

    def renewed(self, foreign: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """The foreign tensors that have a place, under the newer spelling."""
        for key, value in foreign.items():
            for old, new in (self.older or {}).items():
                key = key.replace(old, new)
            if not key.startswith(self.unused):
                yield key, value


def translate(
    key_map: KeyMap,
    foreign: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    fresh: Collection[str] = (),
) -> dict[str, Tensor]:
    """A foreign `state_dict` as one of ours; `expected` is ours, for its keys and shapes.

    Keys in `fresh` keep the values of `expected`, whatever the file holds: those of a head for other classes. So do
    counts of batches, which older files lack. A dimension of one more or less, and a dense layer stored as a
    convolution over its whole input, are the same numbers in the same order and are brought into our shape.
    Raises CheckpointError that names the first keys that are missing, unexpected, or of another shape.
    """
    theirs, found, missing, misshapen = dict(key_map.renewed(foreign)), dict(expected), [], []
    known = set()
    for ours, tensor in expected.items():
        name = key_map.theirs(ours)
        known.add(name)
        if ours in fresh:
            continue
        if name not in theirs:
            if not name.endswith("num_batches_tracked"):
                missing.append(name)
        elif not same_numbers(theirs[name].shape, tensor.shape):
            misshapen.append(f"{name} {by_x(theirs[name].shape)}, where {by_x(tensor.shape)} is expected")
        else:
            found[ours] = theirs[name].reshape(tensor.shape)
    unexpected = sorted(theirs.keys() - known)
    for fault, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen)):
        if names:
            raise CheckpointError(
                f"These weights belong to another network. {len(names)} of its tensors are {fault}: {some(names)}."
            )
    return found


def same_numbers(one: torch.Size, other: torch.Size) -> bool:
    """Whether two shapes hold the same numbers in the same order for the same rows."""
    return without_ones(one) == without_ones(other) or (
        one.numel() == other.numel() and one[:1] == other[:1] and 2 in (len(one), len(other))
    )


def without_ones(shape: torch.Size) -> list[int]:
    return [size for size in shape if size > 1]


def by_x(shape: torch.Size) -> str:
    return "x".join(map(str, shape)) or "()"
