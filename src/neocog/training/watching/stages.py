"""The parts of a network whose norms are told apart."""

from collections.abc import Iterable

from torch import nn

from neocog.zoo import Network

__all__ = ["stage_of", "stages_of"]


def stages_of(model: nn.Module) -> dict[str, nn.Module]:
    """Stem, each stage, head and what else a network of the zoo has; the children of any other, or itself.

    >>> list(stages_of(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())))
    ['0', '1']
    """
    found: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        if isinstance(model, Network) and name == "stages":
            found |= {f"stages.{number}": stage for number, stage in child.named_children()}
        else:
            found[name] = child
    return found or {type(model).__name__: model}


def stage_of(parameter: str, stages: Iterable[str], other: str) -> str:
    """The stage that a parameter belongs to, by its name; `other` where it belongs to the network itself.

    >>> stage_of("stages.1.0.weight", ["stem", "stages.0", "stages.1", "head"], "ResNet")
    'stages.1'
    """
    return next((stage for stage in stages if parameter.startswith(f"{stage}.")), other)
