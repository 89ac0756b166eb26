"""The randomised twin: the same method on the network without what it learned.

A map that looks the same after the weights have been drawn again does not show what the network learned. Modules are
re-initialised one after the other, from the output down, and the map is compared with the first one each time
(cascading randomisation). Source: Adebayo et al. 2018, "Sanity checks for saliency maps", section 4.

Fresh tensors replace those of a copy, so the network itself and torch's random state stay as they are.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.explaining.attribution import Attribution
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.explaining.methods import METHODS, default_layer, explain_with
from neocog.planning import shared_copy
from neocog.progress import track
from neocog.rng import normal, uniform
from neocog.tasks.target import Target
from neocog.torch_private import NormBase
from neocog.zoo.networks.text_cnn import SPREAD, WordVectors

__all__ = ["Twin", "randomised_twin", "rank_correlation", "reinitialise"]

Weighted = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
Norms = (NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
AT_ONCE = 2**21  # numbers that are drawn at once
ROUNDING = 1e-5  # of the largest number in a map, below which float32 tells nothing


@dataclass(frozen=True, slots=True, eq=False)
class Twin:
    """A map of the network, compared with those of the same network with ever more random weights."""

    names: tuple[str, ...]
    """The module down to which weights were random at each step; from the output down."""
    similarity: tuple[float, ...]
    """The rank correlation of absolute maps with the original one at each step: 1 if their order is the same."""
    attribution: Attribution
    """That of the wholly random network."""
    original: Attribution
    """That of the network itself."""


def randomised_twin(
    explainer: Explainer,
    inputs: Tensor,
    target: Target,
    method: str,
    *,
    layer: Layer | None = None,
    most: int = 8,
    seed: int = 0,
    original: Attribution | None = None,
    **options: Any,
) -> Twin:
    """Compare the map of a method with those of the network re-initialised from the output down, in `most` steps.

    The first step re-initialises the last module alone, the last step all; steps between take equal shares of the
    modules. `original` saves the time to compute the network's own map again. `options` are those of the method.
    Raises ConfigError as `explain_with` does.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> explainer = Explainer(net, (1, 8, 8))
    >>> images = torch.arange(64.0).view(1, 1, 8, 8)
    >>> randomised_twin(explainer, images, explainer.target(images), "gradient").names
    ('3', '0')
    """
    if method in METHODS and METHODS[method].on_layer and layer is None:
        layer = default_layer(explainer, inputs, target)
    found = original = original or explain_with(explainer, inputs, target, method, layer=layer, **options)
    twin, similarity = copy.copy(explainer), list[float]()
    twin.network = shared_copy(explainer.network)
    steps = list(steps_of(owners(explainer), most))
    tensors: dict[int, Tensor] = {}
    for names in track(steps, "randomised twin"):
        for name in names:
            reinitialise(twin.network.get_submodule(name), name, seed, tensors)
        found = explain_with(twin, inputs, target, method, layer=layer, **options)
        similarity.append(rank_correlation(original.map, found.map))
    return Twin(tuple(names[-1] for names in steps), tuple(similarity), found, original)


def owners(explainer: Explainer) -> list[str]:
    """The modules with parameters or statistics of their own that the input meets, the last one first."""
    owning = {
        name
        for name, module in explainer.network.named_modules()
        if any(True for _ in module.parameters(recurse=False)) or isinstance(module, NormBase)
    }
    trace, last = explainer.layers.plan.trace, dict[str, int]()
    for place, operation in enumerate(trace.operations):
        reads = frozenset[str]().union(*(trace.values[value].parameters for value in operation.inputs))
        for name in {operation.module, *(key.rpartition(".")[0] for key in reads)} & owning:
            last[name] = place
    return sorted(last, key=lambda name: -last[name])


def steps_of(names: Sequence[str], most: int) -> Iterator[list[str]]:
    """The names in at most `most` runs, of which the first is one name and the others are as long as each other.

    >>> list(steps_of(["head", "c", "b", "a", "stem"], 3))
    [['head'], ['c', 'b'], ['a', 'stem']]
    """
    if names:
        yield [names[0]]
        rest, count = names[1:], min(len(names) - 1, max(1, most - 1))
        for part in range(count):
            yield list(rest[len(rest) * part // count : len(rest) * (part + 1) // count])


def reinitialise(module: nn.Module, name: str, seed: int, tensors: dict[int, Tensor] | None = None) -> None:
    """Give a module of a copy fresh tensors of its own, such as training could start from.

    Weights of convolutions and dense layers are uniform with the variance 2 / fan in (He et al. 2015), with which a
    signal keeps its size through layers of ReLU. With torch's own, a sixth of that, nothing of it would reach the
    output of a deep network whose norms have no statistics yet. Norms begin with 1 and 0 and have the statistics 0 and
    1; parameters of other modules are normal, with the mean and deviation of those that they replace. Draws depend on
    the seed and the name alone. `tensors` maps those that were replaced, by id, to what replaced them, so
    that modules which share a tensor still do.
    """
    replaced = {} if tensors is None else tensors
    draw = reset_of(module)
    for key, parameter in list(module.named_parameters(recurse=False)):
        if id(parameter) not in replaced:
            fresh = draw(key, parameter.detach(), f"twin:{name}.{key}", seed)
            replaced[id(parameter)] = nn.Parameter(fresh, requires_grad=parameter.requires_grad)
        setattr(module, key, replaced[id(parameter)])
    if isinstance(module, NormBase):
        for key, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, key, torch.ones_like(buffer) if key == "running_var" else torch.zeros_like(buffer))


Draw = Callable[[str, Tensor, str, int], Tensor]
"""The name of a parameter, its values, the purpose of the draws, a seed -> fresh values."""


def reset_of(module: nn.Module) -> Draw:
    """How the parameters of a module are drawn."""

    def weighted(key: str, old: Tensor, purpose: str, seed: int) -> Tensor:
        weight = getattr(module, "weight", None)
        if key not in ("weight", "bias") or not isinstance(weight, Tensor):
            return alike(key, old, purpose, seed)
        fan_in = max(1, math.prod(weight.shape[1:]))  # as torch counts it, from the weight's shape
        bound = math.sqrt((6 if key == "weight" else 1) / fan_in)
        return drawn(uniform, purpose, seed, old) * (2 * bound) - bound

    def norm(key: str, old: Tensor, purpose: str, seed: int) -> Tensor:
        known = {"weight": torch.ones_like, "bias": torch.zeros_like}
        return known[key](old) if key in known else alike(key, old, purpose, seed)

    def vectors(key: str, old: Tensor, purpose: str, seed: int) -> Tensor:
        assert isinstance(module, nn.Embedding)
        words = isinstance(module, WordVectors)
        fresh = (
            drawn(uniform, purpose, seed, old) * (2 * SPREAD) - SPREAD if words else drawn(normal, purpose, seed, old)
        )
        if module.padding_idx is not None:
            fresh[module.padding_idx] = 0
        return fresh

    if isinstance(module, Weighted):
        return weighted
    if isinstance(module, Norms):
        return norm
    return vectors if isinstance(module, nn.Embedding) else alike


def alike(key: str, old: Tensor, purpose: str, seed: int) -> Tensor:
    """Normal numbers with the mean and deviation of the old ones."""
    if not old.is_floating_point():
        return old.clone()
    return drawn(normal, purpose, seed, old) * old.std(correction=0) + old.mean()


def drawn(draws: Callable[..., NDArray[np.float64]], purpose: str, seed: int, like: Tensor) -> Tensor:
    """Numbers of a function of `neocog.rng` in the form of a tensor, made in parts, since they take much memory."""
    rows = torch.empty_like(like, memory_format=torch.contiguous_format).view(len(like) if like.ndim else 1, -1)
    at_once = max(1, AT_ONCE // max(1, rows.shape[1]))
    for begin in range(0, len(rows), at_once):
        part = range(begin, min(len(rows), begin + at_once))
        made = draws(seed, epoch=0, samples=part, purpose=purpose, num=rows.shape[1])
        rows[begin : begin + len(part)] = torch.from_numpy(made).to(rows)
    return rows.view(like.shape)


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of absolute values, from -1 to 1; 0 if one of the maps is the same everywhere.

    Places where both are zero but for rounding, such as padding and those that the output can't depend on, are left
    out: they would agree whatever the weights are.

    >>> rank_correlation(torch.tensor([0.1, -2.0, 3.0]), torch.tensor([1.0, 4.0, 9.0]))
    1.0
    """
    from scipy.stats import spearmanr  # takes half a second to import

    first, second = (each.detach().abs().double().flatten().cpu().numpy() for each in (a, b))
    used = (first > ROUNDING * first.max(initial=0)) | (second > ROUNDING * second.max(initial=0))
    first, second = first[used], second[used]
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(spearmanr(first, second).statistic)
