"""The result of a method: how much each place of an input matters for one output."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.arithmetic import Field
from neocog.explaining.layers import Layer
from neocog.tasks.target import Target

__all__ = ["Attribution", "on_input"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Attribution:
    """How much each place of an input matters for a target, on the method's own scale."""

    method: str
    target: Target
    logit: float
    """The target's value for this input."""
    values: Tensor
    """As the method computes them: (C, *places) of the input, (*places) of a layer's maps, (*windows) of occlusion."""
    map: Tensor
    """One number for each place of the input, (*places)."""
    signed: bool
    """Whether a negative number means evidence against the target."""
    layer: Layer | None = None
    """Whose maps were weighed; None for a method on the input."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Numbers of the method's own, such as the completeness error of integrated gradients."""

    @property
    def scale(self) -> float:
        """The largest absolute number in the map: a map whose scale is 1e-6 says nothing, however it is drawn."""
        return float(self.map.abs().max()) if self.map.numel() else 0.0


def on_input(maps: Tensor, shape: tuple[int, ...], layer: Layer | None = None) -> Tensor:
    """Maps (N, *places) of a layer enlarged to the places of the input, linearly; (N, *shape).

    With a layer, each unit is put where the middle of its receptive field lies: behind convolutions of stride 2 with
    padding, units are not where stretching the map to the input's size would put them. Without one, or if its fields
    don't move with the units, as behind a gate that sees the whole input, the map is stretched. Source of the middles:
    Araujo et al. 2019, "Computing receptive fields of convolutional neural networks".

    >>> on_input(torch.tensor([[0.0, 1.0]]), (4,)).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    if tuple(maps.shape[1:]) == shape:
        return maps
    fields = layer.row.fields if layer is not None and len(layer.row.fields) == len(shape) else (None,) * len(shape)
    for axis, (seen, size) in enumerate(zip(fields, shape, strict=True), start=1):
        units = maps.shape[axis]
        at = torch.from_numpy(np.interp(np.arange(size), centres(seen, units, size), np.arange(units)))
        low = at.long().clamp(max=max(0, units - 2))
        share = (at - low).to(maps).view(-1, *[1] * (maps.ndim - 1 - axis))
        below, above = (maps.index_select(axis, i.to(maps.device)) for i in (low, (low + 1).clamp(max=units - 1)))
        maps = below + share * (above - below)
    return maps


def centres(seen: Field | None, units: int, size: int) -> NDArray[np.float64]:
    """The place of the input under the middle of each unit along an axis; stretched evenly, if fields don't tell."""
    if seen is not None:
        windows = [seen.windows[unit % len(seen.windows)] for unit in range(units)]
        found = [math.nan if w is None else float(w.centre + w.jump * u) for u, w in enumerate(windows)]
        if all(before < after for before, after in pairwise(found)) and not any(map(math.isnan, found)):
            return np.array(found)
    return (np.arange(units) + 0.5) * size / units - 0.5
