"""Does this network take these inputs? Asked before anything is trained, without computing anything."""

import torch
from torch import nn

from neocog.errors import GeometryError
from neocog.planning import Plan, plan

__all__ = ["check_input"]


def check_input(
    model: nn.Module, shape: tuple[int, ...], num_classes: int, advice: str, dtype: torch.dtype | None = None
) -> Plan:
    """The plan of the network for inputs of this shape, and of this type if they are ids.

    Raises GeometryError that names the layer at which sizes do not meet and what would fit, or an output that is not
    one number for each class.
    """
    try:
        found = plan(model, shape, dtype=dtype)
    except GeometryError as error:
        raise GeometryError(f"{error} {advice}") from error
    if found.output_shapes != ((num_classes,),):
        given = " and ".join(map(str, found.output_shapes))
        raise GeometryError(
            f"The network must give one number for each of {num_classes} classes. For inputs of "
            f"{'x'.join(map(str, shape))} it gives {given}. {advice}"
        )
    return found
