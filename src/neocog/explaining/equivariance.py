"""How the output and the feature maps of each layer change when the input does.

    invariance      |map(T x) - map(x)| / |map(x)|           0: the change is not seen
    equivariance    |map(T x) - T' map(x)| / |T' map(x)|     0: the maps move with the input

T is a change of the input, and T' the same change carried to the layer's grid: a unit at the centre c of its field is
compared with the unit whose field has its centre at T c. A shift that is not a multiple of the stride falls between
units, and is interpolated linearly; so it is with rotation and scale.

What a change brings in at the border is the mean of the data. Units whose field meets it, or padding, are left out. In
deep layers few or none would remain; there, units are left out if the centre of their field meets it.

Source: Lenc & Vedaldi 2015, "Understanding image representations by measuring their equivariance and equivalence".
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer
from neocog.explaining.input_changes import CHANGES, kind_of
from neocog.explaining.layer_grid import LayerGrid
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Grid
from neocog.explaining.tape import run
from neocog.planning.geometry import geometry

__all__ = ["Curves", "measure"]

FEW = 24  # layers that are all measured
MOVES = 0.01  # relative distance below which maps are said to move with the input
BEYOND = ", beyond moving them"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Curves:
    """How each layer changes with the amount of a change; L layers, A amounts."""

    change: str
    unit: str
    """Of the amounts: pixels, degrees, ..."""
    amounts: tuple[float, ...]
    names: tuple[str, ...]
    """Of the layers, or of the parts of the network that they end."""
    layers: tuple[Layer, ...]
    invariance: NDArray[np.float64]
    """(L, A)."""
    equivariance: NDArray[np.float64]
    """(L, A); NaN for a layer without places, and for a change that moves nothing, such as noise."""
    inside: NDArray[np.float64]
    """(L, A) the share of a layer's units that were compared."""
    strict: NDArray[np.bool_]
    """(L, A) whether these are only units whose whole field is free of the border."""
    readings: tuple[str, ...]
    """The curves in a few sentences."""


def measure(
    explainer: Explainer,
    inputs: Tensor,
    change: str,
    *,
    amounts: Iterable[float] | None = None,
    layers: Iterable[Layer] | None = None,
    seed: int = 0,
) -> Curves:
    """How the layers change under one change of the input, for several amounts; inputs (N, *shape), normalised.

    shift           pixels to the right; samples or frames of a signal or a sound, to later
    rotation        degrees, counter-clockwise
    scale           a factor, larger than 1 enlarges; of a signal, it stretches time
    flip            1: left and right are exchanged
    noise           standard deviation of Gaussian noise, in standard deviations of the input
    brightness      a factor on pixels as they are stored; of a sound, on its samples: the gain

    Images take all of them; signals shift, scale and noise; sounds shift, brightness and noise. `layers` are by default
    all of a small network, and the ends of the parts of a large one. Raises ConfigError for a change that inputs of
    this kind don't take.

    >>> import torch
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3, stride=2))
    >>> image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> found = measure(Explainer(net, (1, 16, 16)), image, "shift", amounts=[1, 2])
    >>> (found.equivariance < 1e-5).tolist()
    [[True, True], [False, True]]
    """
    kind = kind_of(explainer)
    if change not in CHANGES[kind]:
        raise ConfigError(
            f"The changes of this kind of input, {kind}, are {', '.join(CHANGES[kind])}.", received=repr(change)
        )
    made = CHANGES[kind][change]
    values = tuple(float(amount) for amount in (made.amounts if amounts is None else amounts))
    named = parts(explainer) if layers is None else [(layer.name, layer) for layer in layers]
    before = run(explainer.network, inputs, [layer for _, layer in named], gradients=False).values
    if layers is None:  # without those that run in another way on this device than the plan says
        named = [(name, layer) for name, layer in named if Grid.of(explainer, layer).fits(before[layer])]
    wanted = [layer for _, layer in named]
    grids = [LayerGrid(explainer, layer) for layer in wanted]
    figures = np.full((4, len(named), len(values)), np.nan)
    for step, amount in enumerate(values):
        changed, affine, outside = made.apply(explainer, inputs, amount, seed)
        after = run(explainer.network, changed, wanted, gradients=False).values
        for place, (grid, layer) in enumerate(zip(grids, wanted, strict=True)):
            figures[:, place, step] = grid.compare(grid.maps(before[layer]), grid.maps(after[layer]), affine, outside)
    mildest = made.mildest(values)
    readings = []
    for place, (name, layer) in enumerate(named):
        earlier = wanted[place - 1] if place else None
        readings.append(reading(made.text(values[mildest]), name, grids[place].moves, figures[:, place, mildest]))
        if change == "shift" and readings[-1].endswith(BEYOND):
            readings[-1] += cause(explainer, values[mildest], earlier, layer)
    readings = [f"{sentence}." for sentence in readings]
    return Curves(
        change=change, unit=made.unit, amounts=values, names=tuple(name for name, _ in named), layers=tuple(wanted),
        invariance=figures[0], equivariance=figures[1], inside=figures[2], strict=figures[3] == 1,
        readings=tuple(readings),
    )  # fmt: skip


def parts(explainer: Explainer) -> list[tuple[str, Layer]]:
    """The name and layer of each curve: all layers of a small network, else the last layer of each of its parts."""
    layers = explainer.layers
    if len(layers) <= FEW:
        return [(layer.name, layer) for layer in layers]
    found: dict[Layer, str] = {layers[-1]: layers[-1].name}
    for name, child in explainer.network.named_children():
        for part in members(name, child):
            inside = [each for each in layers if each.module == part or each.module.startswith(f"{part}.")]
            if inside:
                found.setdefault(inside[-1], part)
    return [(found[layer], layer) for layer in layers if layer in found]


def members(name: str, module: nn.Module) -> list[str]:
    """The names of the modules in a sequence; of one within another, those of the inner one; else the module's own."""
    inner = [(f"{name}.{key}", child) for key, child in module.named_children()]
    if not isinstance(module, nn.Sequential | nn.ModuleList) or not inner:
        return [name]
    return members(*inner[0]) if len(inner) == 1 else [key for key, _ in inner]


def reading(subject: str, name: str, has_places: bool, figures: NDArray[np.float64]) -> str:
    """A sentence on one layer: its invariance, equivariance, share compared, and whether whole fields decided which."""
    invariance, equivariance, share, strict = figures
    if not share:
        return f"{subject} leaves no unit of {name} that can be compared"
    border = "" if strict else ", where all units see the border,"
    if np.isnan(equivariance):
        maps = "maps" if has_places else "outputs"
        if invariance < MOVES:
            return f"{subject} changes the {maps} of {name} by less than 1%"
        return f"{subject} changes the {maps} of {name} by {invariance:.2g} times their size"
    if equivariance < MOVES:
        return f"{subject} moves the maps of {name}{border} and changes them by less than 1%"
    return f"{subject} changes the maps of {name}{border} by {equivariance:.2g} times their size{BEYOND}"


def cause(explainer: Explainer, amount: float, earlier: Layer | None, layer: Layer) -> str:
    """The stride to blame for what a shift does to a layer's maps, if it has come in behind the earlier layer."""
    step = stride_without_blur(explainer, earlier, layer)
    if step > 1 and amount % max(float(stride) for stride in layer.row.stride):
        return f": stride {step} without blur"
    return ""


def stride_without_blur(explainer: Explainer, earlier: Layer | None, layer: Layer) -> int:
    """The stride of convolutions and max pooling between two layers, the second included; 1 if there is none.

    Average pooling and a convolution with fixed weights, such as `BlurPool2d`, smooth before they leave out samples.
    """
    trace, begin = explainer.layers.plan.trace, -1 if earlier is None else earlier.call
    step = 1
    for operation in trace.operations:
        if not begin < operation.call <= layer.call or operation.operator is None:
            continue
        windows = geometry(trace, operation)
        if windows is None or windows.transposed or operation.name.startswith("avg_pool"):
            continue
        fixed = operation.name == "convolution" and not trace.values[operation.args[1].value].parameters
        step *= 1 if fixed else max(windows.stride)
    return step
