"""Class activation maps: the maps A_k of a layer, weighed by what they mean for the target y, and rectified.

With g = dy/dA, sums over places, and i for a place:

    gradcam      relu(sum_k a_k A_k),          a_k = mean_i g_ki                              Selvaraju et al. 2017
    gradcam++    relu(sum_k w_k A_k),          w_k = sum_i alpha_ki relu(g_ki)                Chattopadhyay et al. 2018
                 alpha_ki = g_ki^2 / (2 g_ki^2 + (sum_j A_kj) g_ki^3)
    layercam     relu(sum_k relu(g_ki) A_ki)                                                  Jiang et al. 2021
    scorecam     relu(sum_k c_k A_k),          c = softmax_k(y(x * mask_k) - y(0))            Wang et al. 2020
                 mask_k = A_k enlarged to the input and scaled to 0..1

Grad-CAM++ has its formula for exp(y); the factor exp(y), which all its weights share, is left out, so that the map is
on the scale of y. If the target is a mean over places, as that of a segmented class, the formulas are the same
(Vinogradova et al. 2020, "Towards interpretable semantic segmentation via gradient-weighted class activation mapping").

`values` (*places of the layer) has the map itself; `map` is the same at the places of the input.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from neocog.errors import ConfigError
from neocog.explaining.attribution import Attribution, on_input
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.explaining.scoring import Precision, Scorer
from neocog.rng import permute
from neocog.tasks.target import Target

__all__ = ["check_maps", "gradcam", "gradcam_plus_plus", "layercam", "places_of", "scorecam"]


def gradcam(explainer: Explainer, inputs: Tensor, target: Target, layer: Layer) -> Attribution:
    """Grad-CAM on a layer's maps; inputs (1, *shape), normalised. Raises ConfigError for a layer without places.

    Source: Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based localization",
    equations 1 and 2.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(8, 1))
    >>> explainer = Explainer(net, (1, 2, 2))
    >>> ones = torch.ones(1, 1, 2, 2)
    >>> gradcam(explainer, ones, explainer.target(ones), explainer.layers["0"]).values.shape
    torch.Size([2, 2])
    """
    maps, gradients, logit = differentiate(explainer, inputs, target, layer)
    weights = gradients.flatten(1).mean(1)
    return weighed("gradcam", explainer, target, layer, logit, torch.tensordot(weights, maps, dims=1))


def gradcam_plus_plus(explainer: Explainer, inputs: Tensor, target: Target, layer: Layer) -> Attribution:
    """Grad-CAM++: each place has a weight of its own, so that several objects of a class count alike.

    Source: Chattopadhyay et al. 2018, "Grad-CAM++: generalized gradient-based visual explanations for deep
    convolutional networks", equations 9, 10 and 19.
    """
    maps, gradients, logit = differentiate(explainer, inputs, target, layer)
    total = maps.flatten(1).sum(1).view(-1, *[1] * (maps.ndim - 1))
    below = 2 * gradients**2 + total * gradients**3
    shares = torch.where(below != 0, gradients**2 / torch.where(below != 0, below, 1.0), 0.0)
    weights = (shares * gradients.clamp(min=0)).flatten(1).sum(1)
    return weighed("gradcam++", explainer, target, layer, logit, torch.tensordot(weights, maps, dims=1))


def layercam(explainer: Explainer, inputs: Tensor, target: Target, layer: Layer) -> Attribution:
    """LayerCAM: each place of each map is weighed by its own gradient, so that early layers serve, too.

    Source: Jiang et al. 2021, "LayerCAM: exploring hierarchical class activation maps for localization", equations 5
    to 7.
    """
    maps, gradients, logit = differentiate(explainer, inputs, target, layer)
    return weighed("layercam", explainer, target, layer, logit, (gradients.clamp(min=0) * maps).sum(0))


def scorecam(
    explainer: Explainer,
    inputs: Tensor,
    target: Target,
    layer: Layer,
    *,
    channels: int | None = None,
    seed: int = 0,
    precision: Precision = "auto",
) -> Attribution:
    """Score-CAM: the weight of a map is the target's value for an input that shows only what the map marks.

    It takes one forward pass for each channel; `channels` takes a random part of them, drawn by `seed`. A channel that
    is the same everywhere marks nothing, and is left out.
    Source: Wang et al. 2020, "Score-CAM: score-weighted visual explanations for convolutional neural networks",
    algorithm 1.
    """
    check_maps(explainer, layer)
    if channels is not None and channels < 1:
        raise ConfigError("Score-CAM needs at least one channel.", received=f"channels={channels}")
    tape = explainer.tape(inputs, [layer], gradients=False)
    maps, values = tape.values[layer][0], explainer.values(inputs)
    logit = float(target.of(tape.outputs))
    flat = maps.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    used = torch.nonzero(high > low).flatten()
    if channels is not None and channels < len(used):
        drawn = permute(np.arange(channels), len(used), seed, 0, "score-cam")
        used = used[torch.from_numpy(np.sort(drawn)).to(used.device)]
    scale = (high - low)[used].view(-1, *[1] * (maps.ndim - 1))
    masks = (maps[used] - low[used].view_as(scale)) / scale

    def make(rows: Sequence[int]) -> Tensor:
        return values * on_input(masks[list(rows)], tuple(values.shape[2:]), layer)[:, None]

    scorer = Scorer(explainer, inputs, target.of, precision)
    found = scorer.scores(make, len(used), torch.zeros_like(values), "score-cam", meaning=shares)
    weights = shares(found.values, found.reference).to(maps)
    figures = {"channels": len(used)} | found.figures
    return weighed("scorecam", explainer, target, layer, logit, torch.tensordot(weights, maps[used], dims=1), figures)


def shares(scores: Tensor, reference: float) -> Tensor:
    """The weights of maps, which add up to 1."""
    return (scores - reference).softmax(0)


def differentiate(explainer: Explainer, inputs: Tensor, target: Target, layer: Layer) -> tuple[Tensor, Tensor, float]:
    """A layer's maps (C, *places), the gradient of the target with respect to them, and the target's value."""
    check_maps(explainer, layer)
    tape = explainer.tape(inputs, [layer])
    scores = target.of(tape.outputs)
    (gradients,) = tape.gradient(scores, layer)
    return tape.values[layer].detach()[0], gradients[0], float(scores.detach())


def weighed(
    method: str,
    explainer: Explainer,
    target: Target,
    layer: Layer,
    logit: float,
    total: Tensor,
    figures: Mapping[str, float] | None = None,
) -> Attribution:
    """The attribution of a sum of weighed maps, (*places) of the layer, which is rectified here."""
    values = total.clamp(min=0)
    return Attribution(
        method=method, target=target, logit=logit, values=values,
        map=on_input(values[None], places_of(explainer), layer)[0],
        signed=False, layer=layer, figures=figures or {},
    )  # fmt: skip


def places_of(explainer: Explainer) -> tuple[int, ...]:
    """The sizes of the input along its axes: height and width of an image, tokens of a text."""
    return explainer.input_shape if explainer.token_layer is not None else explainer.input_shape[1:]


def check_maps(explainer: Explainer, layer: Layer) -> None:
    """Raises ConfigError unless a layer's outputs are maps of the input, (C, *places)."""
    if layer not in explainer.layers.with_maps():
        shape = " x ".join(map(str, layer.shape))
        raise ConfigError(
            "Class activation maps need a layer whose outputs have places.",
            received=f"{layer.name or 'the network'}, whose output is {shape}",
            fix="Choose an earlier layer; `neocog explain --layers` lists them.",
        )
