"""Which parameters of a network share a learning rate and weight decay."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from neocog.torch_private import NormBase
from neocog.zoo import Network

__all__ = ["levels", "split_groups", "vectors"]

NORMS = (NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def split_groups(
    parameters: Iterable[nn.Parameter], traits: Callable[[nn.Parameter], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Groups of an optimiser: parameters with equal traits in one, each group with its traits.

    Groups and their members are in the order of first appearance.

    >>> weight, bias = nn.Linear(3, 2).parameters()
    >>> groups = split_groups([weight, bias], lambda p: {"decay": p.ndim > 1})
    >>> [(group["decay"], len(group["params"])) for group in groups]
    [(True, 1), (False, 1)]
    """
    groups: dict[tuple[tuple[str, Any], ...], dict[str, Any]] = {}
    for parameter in parameters:
        found = traits(parameter)
        groups.setdefault(tuple(found.items()), {"params": [], **found})["params"].append(parameter)
    return list(groups.values())


def vectors(model: nn.Module) -> frozenset[nn.Parameter]:
    """The parameters of norms, biases, and all others that are one row of numbers: gains, scales, slopes.

    A parameter called weight counts by its number of axes alone, since a layer with one output still has a filter.

    >>> sorted(p.numel() for p in vectors(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 1))))
    [1, 8, 8, 8]
    """
    return frozenset(
        parameter
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, NORMS) or name.endswith("bias") or is_row(name, parameter)
    )


def is_row(name: str, parameter: nn.Parameter) -> bool:
    """Whether it has one axis at most; an axis of size one, as in (C, 1, 1), counts in a layer's weight only."""
    return (parameter.ndim if name == "weight" else sum(size > 1 for size in parameter.shape)) <= 1


def levels(model: nn.Module) -> dict[nn.Parameter, int]:
    """The depth of each parameter, from 0 at the input.

    In a `Network` the stem is level 0, each block of the stages is one more, and everything else, such as head and
    auxiliary classifiers, is the last. Bare layers between blocks belong to the block that follows; a stage of bare
    layers alone is one block. In other modules each child is a level, in the order in which they were set.

    >>> from neocog.zoo import create_model
    >>> max(levels(create_model("resnet18")).values())  # the stem is 0, eight blocks are 1 to 8, the head is 9
    9
    """
    parts: list[tuple[nn.Module, int]] = []
    if isinstance(model, Network):
        parts, last = blocks(model.stages)
        others = [child for child in model.children() if child is not model.stem and child is not model.stages]
        parts = [(model.stem, 0), *parts, *((child, last) for child in others)]
    else:
        parts = [(child, level) for level, child in enumerate(with_parameters(model.children()))]
    found = dict.fromkeys(model.parameters(recurse=False), 0)  # such as class tokens, which join the input
    for part, level in parts:
        for parameter in part.parameters():
            found.setdefault(parameter, level)  # a shared parameter counts where it is first used
    return found


def blocks(stages: nn.Sequential) -> tuple[list[tuple[nn.Module, int]], int]:
    """The blocks of all stages with their levels, from 1, and the level after the last."""
    found, level = [], 1
    for stage in with_parameters(stages):
        parts = with_parameters(stage) if isinstance(stage, nn.Sequential) else [stage]
        for part in parts:
            found.append((part, level))
            level += is_block(part) or part is parts[-1]
    return found, level


def is_block(module: nn.Module) -> bool:
    """Whether it is made of layers rather than a bare layer."""
    return any(True for _ in module.children())


def with_parameters(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """Those that have parameters."""
    return [module for module in modules if any(True for _ in module.parameters())]
