"""Does this network take these pictures? Asked before anything is trained, without computing anything."""

import copy

import torch
from torch import Tensor, nn

from neocog.errors import GeometryError

__all__ = ["check_input"]


def check_input(model: nn.Module, shape: tuple[int, int, int], num_classes: int, advice: str) -> None:
    """Run a copy of the network on the meta device, which has shapes and no values.

    Raises GeometryError that names the layer at which sizes do not meet, and what it received.
    """
    twin = copy.deepcopy(model).to("meta").eval()
    entered: list[tuple[str, nn.Module, tuple[int, ...]]] = []

    def enter(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        entered.append((name, module, tuple(inputs[0].shape)))

    def leave(*_: object) -> None:
        entered.pop()

    for name, module in twin.named_modules():
        module.register_forward_pre_hook(lambda module, inputs, name=name: enter(name, module, inputs))
        module.register_forward_hook(leave)
    size = "x".join(map(str, shape))
    try:
        with torch.no_grad():
            logits = twin(torch.empty(1, *shape, device="meta"))
    except RuntimeError as error:
        name, module, received = entered[-1]
        reason = str(error).splitlines()[0]
        raise GeometryError(
            f"Pictures of {size} do not fit the network. {name} {module} received {received}: {reason}. {advice}"
        ) from error
    if logits.shape != (1, num_classes):
        raise GeometryError(
            f"The network must give one number for each of {num_classes} classes. For pictures of {size} it gives "
            f"{tuple(logits.shape[1:])}. {advice}"
        )
