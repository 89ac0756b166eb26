"""Does this network take these pictures? Asked before anything is trained, without computing anything."""

from torch import nn

from neocog.errors import GeometryError
from neocog.planning import plan

__all__ = ["check_input"]


def check_input(model: nn.Module, shape: tuple[int, int, int], num_classes: int, advice: str) -> None:
    """Plan the network for pictures of this shape.

    Raises GeometryError that names the layer at which sizes do not meet and what would fit, or an output that is not
    one number for each class.
    """
    try:
        outputs = plan(model, shape).output_shapes
    except GeometryError as error:
        raise GeometryError(f"{error} {advice}") from error
    if outputs != ((num_classes,),):
        given = " and ".join(map(str, outputs))
        raise GeometryError(
            f"The network must give one number for each of {num_classes} classes. For pictures of "
            f"{'x'.join(map(str, shape))} it gives {given}. {advice}"
        )
