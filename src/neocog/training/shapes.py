"""Does this network take these inputs? Checked before training, without computing anything."""

import torch
from torch import nn

from neocog.errors import GeometryError
from neocog.planning import Plan, plan
from neocog.tasks import Classification, Task

__all__ = ["check_input"]


def check_input(
    model: nn.Module,
    shape: tuple[int, ...],
    num_classes: int,
    advice: str,
    dtype: torch.dtype | None = None,
    task: type[Task] = Classification,
) -> Plan:
    """The plan of the network for inputs of this shape, and of this type if they are ids.

    Raises GeometryError that names the layer at which sizes don't match and what would fit, or outputs that are not
    those of the task, such as one number per class.
    """
    try:
        found = plan(model, shape, dtype=dtype)
    except GeometryError as error:
        fix = f"{error.fix} {advice}".strip()
        raise GeometryError(error.rule, received=error.received, where=error.where, fix=fix, kind=error.kind) from error
    if found.output_shapes != task.output_shapes(num_classes, shape):
        raise GeometryError(
            task.outputs_rule.format(num=num_classes),
            received=f"{' and '.join(map(str, found.output_shapes))} for inputs of {'x'.join(map(str, shape))}",
            fix=advice,
        )
    return found
