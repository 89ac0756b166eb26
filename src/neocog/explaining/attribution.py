"""The result of a method: how much each place of an input matters for one output."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor

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
    """As the method computes them: (C, *places) of the input, or (*places) of a layer's maps."""
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


def on_input(maps: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Maps (N, *places) of a layer enlarged to the places of the input, linearly; (N, *shape)."""
    if tuple(maps.shape[1:]) == shape:
        return maps
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(shape)]
    return F.interpolate(maps[:, None], shape, mode=mode, align_corners=False)[:, 0]
