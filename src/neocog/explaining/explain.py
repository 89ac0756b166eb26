"""`neocog.explain`: why a network says what it says about one input."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neocog.bundle import load
from neocog.bundle.predictor import Input, Predictor
from neocog.errors import ConfigError, did_you_mean
from neocog.explaining.attribution import Attribution, on_input
from neocog.explaining.explainer import Explainer, Sample
from neocog.explaining.explanation import ChannelView, Explanation
from neocog.explaining.layers import Layer
from neocog.explaining.locate import find_view, predict
from neocog.explaining.methods import METHODS, default_layer, explain_with
from neocog.explaining.twins import randomised_twin
from neocog.planning.table import sees
from neocog.progress import track
from neocog.tasks.target import Target

__all__ = ["DEFAULTS", "explain", "layer_rows", "open_explainer"]

DEFAULTS = ("gradcam", "integrated", "occlusion")
"""Unlike each other: the maps of a late layer, a share of the logit for each place, and what happens without it."""
ALL = "all"
STEPS = 4
"""In which a twin's network is re-initialised, from the output down."""

Explained = str | Path | Predictor | Explainer | nn.Module


def explain(
    model: Explained,
    input: Input | Tensor,
    *,
    target: str | int | Target | None = None,
    methods: str | Sequence[str] | None = None,
    layer: str | None = None,
    channel: int | None = None,
    twin: bool | int = True,
    classes: Iterable[str] = (),
    name: str = "",
    seed: int = 0,
) -> Explanation:
    """Why a network says what it says about one input, on the network as it is: nothing of it is changed.

    `model` is a bundle, by path or loaded, or any network, for which `input` is one normalised input (1, *shape) and
    `classes` names the outputs. `target` is a class or an output, `nucleus@120,80` a class at row 120 and column 80 of
    an image, 0 the surest object, `crown:1` the second crown; by default it is what the network decided for. `methods`
    are names in `METHODS`, or "all"; by default Grad-CAM, integrated gradients and occlusion. `layer` is the layer
    whose maps are weighed, and `channel` one of its channels to show. Each map comes with its twin, the same method on
    the network re-initialised from the top in four steps, unless `twin` is False or another number of steps; `seed` is
    that of its weights.

    Raises ConfigError for an unknown target, method or layer, DataError for an input that can't be read, and PlanError
    for a network that can't be followed.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> found = explain(net, torch.ones(1, 1, 8, 8), target="dog", methods="gradient", classes=("cat", "dog"))
    >>> found.attributions[0].map.shape, list(found.panels)
    (torch.Size([8, 8]), ['gradient', 'gradient-alone', 'gradient-twin'])
    """
    explainer = open_explainer(model, input, classes)
    chosen_layer = explainer.layers[layer] if layer is not None else None
    names = choose_methods(methods, layer=layer is not None and channel is None)
    sample, found = find_view(explainer, input, target, name)
    notes: list[str] = []
    if methods is None or methods == ALL:
        names = drop_unfit(explainer, sample, found, names, notes, given=chosen_layer)
    shown = show_channel(explainer, sample, chosen_layer, channel)
    attributions, twins = [], {}
    for method in track(names, "explaining", total=len(names)):
        weighed = chosen_layer if METHODS[method].on_layer else None
        one = explain_with(explainer, sample.inputs, found, method, layer=weighed)
        attributions.append(one)
        if twin:
            twins[method] = randomised_twin(
                explainer, sample.inputs, found, method, layer=one.layer, most=STEPS if twin is True else int(twin),
                seed=seed, original=one, **same_steps(one),
            )  # fmt: skip
    return Explanation(
        explainer=explainer, sample=sample, prediction=predict(explainer, input, sample), target=found,
        attributions=tuple(attributions), twins=twins, channel=shown, notes=tuple(notes),
    )  # fmt: skip


def same_steps(one: Attribution) -> dict[str, Any]:
    """The steps that a map took, for its twin: a random network's differences may be too small to complete to 0.1%."""
    return {"steps": int(one.figures["steps"])} if "steps" in one.figures else {}


def open_explainer(model: Explained, input: Input | Tensor | None = None, classes: Iterable[str] = ()) -> Explainer:
    """The explainer of a bundle, by path or loaded, or of a network and one of its inputs.

    Raises BundleError for a file that is not a bundle, and ConfigError for a network without a normalised input.
    """
    if isinstance(model, Explainer):
        return model
    if isinstance(model, str | Path):
        model = load(model)
    if isinstance(model, Predictor):
        return Explainer.of(model)
    if not isinstance(input, Tensor) or input.ndim < 2 or len(input) != 1:
        received = f"a tensor {tuple(input.shape)}" if isinstance(input, Tensor) else type(input).__name__
        raise ConfigError(
            "A network that is not a bundle takes one normalised input, a tensor (1, *shape).", received=received,
            fix="Add the batch axis with images[:1], or explain a bundle, which reads files.",
        )  # fmt: skip
    dtype = None if input.is_floating_point() else torch.int64
    return Explainer(model, input.shape[1:], classes=classes, dtype=dtype)


def choose_methods(methods: str | Sequence[str] | None, *, layer: bool) -> tuple[str, ...]:
    """The methods that are asked for, each once. Raises ConfigError for an unknown one, or if none takes `layer`."""
    if methods is None:
        return DEFAULTS
    if methods == ALL:
        return tuple(METHODS)
    names = tuple(dict.fromkeys([methods] if isinstance(methods, str) else methods))
    for name in names:
        if name not in METHODS:
            raise ConfigError(
                "Unknown method.", received=repr(name), fix=f"{did_you_mean(name, METHODS)} `all` takes every one."
            )
    if layer and not any(METHODS[name].on_layer for name in names):
        takers = ", ".join(name for name, method in METHODS.items() if method.on_layer)
        raise ConfigError(
            "A layer must have an effect.", received=f"a layer for {', '.join(names)}",
            fix=f"Add one of {takers}, name a channel of the layer, or leave the layer out.",
        )  # fmt: skip
    return names


def drop_unfit(
    explainer: Explainer, sample: Sample, target: Target, names: Sequence[str], notes: list[str], *, given: Layer | None
) -> tuple[str, ...]:
    """The methods without those that need a layer with places, if the network has none."""
    if given is not None:
        return tuple(names)
    try:
        default_layer(explainer, sample.inputs, target)
    except ConfigError as error:
        left = [METHODS[name].title for name in names if METHODS[name].on_layer]
        notes.append(f"Left out: {', '.join(left)}. {error.rule}")
        return tuple(name for name in names if not METHODS[name].on_layer)
    return tuple(names)


def show_channel(explainer: Explainer, sample: Sample, layer: Layer | None, channel: int | None) -> ChannelView | None:
    """A channel's kernel and map. Raises ConfigError without a layer with places, or for an unknown channel."""
    if channel is None:
        return None
    if layer is None:
        raise ConfigError("A channel is one of a layer.", received=f"channel {channel}", fix="Name the layer, too.")
    if layer not in explainer.layers.with_maps():
        raise ConfigError(
            "Only a layer whose outputs have places has maps to show.", received=f"{layer.name}, {layer.shape}",
            fix="`neocog explain --layers` lists the shapes.",
        )  # fmt: skip
    if not 0 <= channel < layer.shape[0]:
        raise ConfigError(f"{layer.name} has the channels 0 to {layer.shape[0] - 1}.", received=f"channel {channel}")
    from neocog.explaining.filters import kernels
    from neocog.explaining.maps import feature_maps

    maps = feature_maps(explainer, sample.inputs, [layer])[layer].detach()
    places = explainer.input_shape[1:] or explainer.input_shape
    return ChannelView(
        layer=layer, channel=channel, map=on_input(maps[channel][None], places, layer)[0],
        kernel=kernels(explainer, layer)[channel] if layer.is_convolution else None,
        scale=float(maps[channel].abs().max()), layer_scale=float(maps.abs().max()),
    )  # fmt: skip


def layer_rows(explainer: Explainer) -> list[dict[str, Any]]:
    """Each layer: name, operator, shape of its output, receptive field, and whether its outputs have places."""
    with_maps = set(explainer.layers.with_maps())
    return [
        {
            "layer": layer.name, "operator": layer.row.operator, "shape": list(layer.shape),
            "receptive_field": sees(layer.row), "places": layer in with_maps,
        }
        for layer in explainer.layers
    ]  # fmt: skip
