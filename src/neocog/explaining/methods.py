"""Every method that maps an input by what it means for an output, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from neocog.errors import ConfigError, did_you_mean
from neocog.explaining.attribution import Attribution
from neocog.explaining.cams import gradcam, gradcam_plus_plus, layercam, scorecam
from neocog.explaining.explainer import Explainer
from neocog.explaining.gradients import deconvnet, gradient, guided, integrated, smoothgrad
from neocog.explaining.layers import Layer
from neocog.explaining.occlusion import occlusion
from neocog.planning.cost import MATRIX
from neocog.tasks.target import Target

__all__ = ["METHODS", "Method", "default_layer", "explain_with"]

AT_ONCE = 12  # layers that are kept to ask for their gradients


@dataclass(frozen=True, slots=True)
class Method:
    """A row of METHODS."""

    name: str
    title: str
    function: Callable[..., Attribution]
    """Of an explainer, inputs, a target, a layer if it is on one, and options by name."""
    on_layer: bool
    """Whether it weighs the maps of a layer."""
    about: str
    """One sentence: what the map shows."""


METHODS: Mapping[str, Method] = MappingProxyType({
    row.name: row
    for row in (
        Method("gradient", "Gradient", gradient, False,
               "How strongly the output reacts to a small change at each place."),
        Method("smoothgrad", "SmoothGrad", smoothgrad, False,
               "The gradient, averaged over noisy copies of the input."),
        Method("integrated", "Integrated gradients", integrated, False,
               "The part of each place in the change of the output from an empty input, to which the map adds up."),
        Method("guided", "Guided backpropagation", guided, False,
               "The gradient without what counts against a unit on the way back; sharp, but it hardly depends on the "
               "class."),
        Method("deconvnet", "Deconvnet", deconvnet, False,
               "The output sent back through the layers, rectified at each; sharp, but hardly depends on the class."),
        Method("gradcam", "Grad-CAM", gradcam, True,
               "The maps of a layer, weighed by how the output reacts to each map."),
        Method("gradcam++", "Grad-CAM++", gradcam_plus_plus, True,
               "As Grad-CAM, with weights under which several objects of a class count alike."),
        Method("layercam", "LayerCAM", layercam, True,
               "The maps of a layer, weighed place by place; serves early layers, too."),
        Method("scorecam", "Score-CAM", scorecam, True,
               "The maps of a layer, weighed by the output for an input that shows only what the map marks."),
        Method("occlusion", "Occlusion", occlusion, False,
               "How much the output falls if a window of the input is hidden."),
    )
})  # fmt: skip
"""Name -> method, in the order in which reports show them."""


def explain_with(
    explainer: Explainer,
    inputs: Tensor,
    target: Target,
    method: str,
    *,
    layer: Layer | None = None,
    **options: Any,
) -> Attribution:
    """The map of a method by name; inputs (1, *shape), normalised.

    `layer` is the one whose maps are weighed, by default `default_layer`; methods on the input have no use for it.
    `options` are those of the method's function. Raises ConfigError for an unknown method or inputs of another shape.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> explainer = Explainer(net, (1, 8, 8))
    >>> found = explain_with(explainer, torch.ones(1, 1, 8, 8), Target("dog", 1), "gradcam")
    >>> found.layer.name, found.map.shape
    ('1', torch.Size([8, 8]))
    """
    if method not in METHODS:
        raise ConfigError("A method is named as in METHODS.", received=repr(method), fix=did_you_mean(method, METHODS))
    if tuple(inputs.shape) != (1, *explainer.input_shape):
        raise ConfigError(
            f"One input at a time is explained, of shape {(1, *explainer.input_shape)}.",
            received=f"{tuple(inputs.shape)}",
        )
    row = METHODS[method]
    with torch.inference_mode(False), torch.enable_grad():  # wherever it is called from
        if not row.on_layer:
            return row.function(explainer, inputs, target, **options)
        chosen = default_layer(explainer, inputs, target) if layer is None else layer
        return row.function(explainer, inputs, target, chosen, **options)


CHOSEN: WeakKeyDictionary[Explainer, dict[int, Layer]] = WeakKeyDictionary()
"""The default layer for each channel of the outputs, once it was found."""


def default_layer(explainer: Explainer, inputs: Tensor, target: Target) -> Layer:
    """The last layer with places that the target depends on, before it is reduced to the outputs.

    At least one convolution or dense layer lies between it and the target, and gradients tell that the target depends
    on several of its channels (or its only one), and not on its own above all. So it is neither the scores of each
    pixel themselves, nor their enlargement, nor the other branch of a detector.
    Raises ConfigError for a network without places.
    """
    known = CHOSEN.setdefault(explainer, {})
    if target.channel in known:
        return known[target.channel]
    value, channel = output_of(explainer, target)
    width = explainer.layers.plan.trace.values[value].shape[1]
    candidates = before(explainer, value)
    if not candidates:
        return explainer.layers.last_maps()  # the only layer that there is, or an error that says that there is none
    reached: list[Layer] = []
    for end in range(len(candidates), 0, -AT_ONCE):
        part = candidates[max(0, end - AT_ONCE) : end]
        with torch.inference_mode(False), torch.enable_grad():
            tape = explainer.tape(inputs, part)
            found = tape.gradient(target.of(tape.outputs), *part)
        for layer, gradients in reversed(list(zip(part, found, strict=True))):
            energy = gradients[0].flatten(1).double().square().sum(dim=1)
            own = len(energy) == width > 1 and bool(energy[channel] > energy.sum() / 2)
            if int((energy > 0).sum()) >= min(2, len(energy)) and not own:
                known[target.channel] = layer
                return layer
            reached += [layer] * bool(energy.any())
    return next(iter(reached), candidates[-1])


def before(explainer: Explainer, output: int) -> list[Layer]:
    """The layers with places from which a convolution or dense layer leads to a value of the trace."""
    trace = explainer.layers.plan.trace
    leads = {output: False}  # value -> whether such a layer lies between it and the output
    for operation in reversed(trace.operations):
        known = [leads[value] for value in operation.outputs if value in leads]
        if known:
            through = any(known) or operation.name == "convolution" or operation.name in MATRIX
            for value in operation.inputs:
                leads[value] = leads.get(value, False) or through
    return [
        layer
        for layer in explainer.layers.with_maps()
        if layer is not explainer.token_layer
        and any(leads.get(value, False) for value in trace.operations[layer.row.operation].outputs)
    ]


def output_of(explainer: Explainer, target: Target) -> tuple[int, int]:
    """The value of the trace that has the target's channel, and its number there.

    A network may have several outputs, which `join_outputs` joins. Raises ConfigError for a channel that none has.
    """
    trace, channel = explainer.layers.plan.trace, target.channel
    for value in trace.outputs:
        if channel < trace.values[value].shape[1]:
            return value, channel
        channel -= trace.values[value].shape[1]
    raise ConfigError("A target is one of the network's outputs.", received=f"channel {target.channel}, {target.text}")
