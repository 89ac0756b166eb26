"""Insertion and deletion: does the output follow what a map calls important?

    deletion     the places are hidden, the most important ones first; a good map makes the output fall early
    insertion    they are shown, in the same order, on a blurred input; a good map makes it rise early
    score        the mean of the output over the share of places, by the trapezoid rule: the area under the curve

Low is good for deletion, high for insertion. The output is what the task reads in it: a probability of a classifier, a
score of an object, a value in the unit of the targets. Every method is measured on the same inputs, beside a random
order, which a method should beat. Source: Petsiuk et al. 2018, "RISE: randomized input sampling for explanation of
black-box models", section 4.3.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.errors import ConfigError, did_you_mean
from neocog.evaluation import Estimate, bootstrap
from neocog.evaluation.paired import paired_bootstrap
from neocog.explaining.explainer import Explainer, Sample
from neocog.explaining.layers import Layer
from neocog.explaining.methods import METHODS, explain_with
from neocog.explaining.occlusion import FEW
from neocog.explaining.scoring import Scorer
from neocog.progress import track
from neocog.rng import permute
from neocog.tasks.target import Target

__all__ = ["RANDOM", "Faithfulness", "insertion_deletion"]

RANDOM = "random"
"""The name of the random order among the methods."""
Kind = Literal["insertion", "deletion"]
BLUR = 45  # an axis in standard deviations of the blur: 5 pixels of 224, as in the paper's program
LEAST_BLUR = 2.0  # places


@dataclass(frozen=True, slots=True, eq=False)
class Faithfulness:
    """The insertion and deletion scores of methods on the same inputs."""

    names: tuple[str, ...]
    """Of the inputs."""
    scores: Mapping[str, Mapping[Kind, NDArray[np.float64]]]
    """Of each method, for each input; (N,)."""
    curves: Mapping[str, Mapping[Kind, NDArray[np.float64]]]
    """The mean output after each step; (steps + 1,)."""

    def estimate(self, method: str, kind: Kind) -> Estimate:
        """The mean score of a method with its 95% bootstrap interval."""
        return bootstrap(np.mean, self.scores[method][kind])

    def difference(self, method: str, other: str, kind: Kind) -> Estimate:
        """The mean score of a method minus that of another, with the interval of the paired bootstrap."""
        first, second = (partial(weighted_mean, self.scores[name][kind]) for name in (other, method))
        return paired_bootstrap(first, second, len(self.names), is_share=False)

    def rows(self) -> list[dict[str, str]]:
        """A table of all methods as text."""
        return [
            {"method": name} | {kind: interval_text(self.estimate(name, kind)) for kind in kinds}
            for name, kinds in self.scores.items()
        ]


def weighted_mean(values: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    return float(counts @ values / counts.sum())


def interval_text(found: Estimate) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def insertion_deletion(
    explainer: Explainer,
    samples: Iterable[Sample | Tensor],
    methods: Sequence[str],
    *,
    target: str | int | Target | None = None,
    layer: Layer | None = None,
    steps: int = 32,
    start: Literal["blur", "zeros"] | None = None,
    seed: int = 0,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Faithfulness:
    """Insertion and deletion scores of methods over inputs, as `Explainer.sample` gives them, or tensors (1, *shape).

    `target` is named as in `Explainer.target`; by default it is, for each input, what the network decided for. Hidden
    places are zeros. `start` is what insertion begins with: by default a blurred input, and zeros for tokens, boards
    and other inputs that are small. `options` has those of a method by its name.
    Raises ConfigError for an unknown method, or no input.

    >>> from torch import nn
    >>> explainer = Explainer(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), (1, 4, 4))
    >>> found = insertion_deletion(explainer, torch.rand(3, 1, 1, 4, 4), ["gradient"], steps=4)
    >>> list(found.scores), found.scores["gradient"]["deletion"].shape, found.curves["gradient"]["insertion"].shape
    (['gradient', 'random'], (3,), (5,))
    """
    unknown = next((name for name in methods if name not in METHODS), None)
    if unknown is not None or steps < 1:
        raise ConfigError(
            "Insertion and deletion take methods of METHODS and at least one step.",
            received=f"methods={list(methods)}, steps={steps}",
            fix=did_you_mean(unknown, METHODS) if unknown is not None else "",
        )
    names = [*dict.fromkeys(methods), RANDOM]
    curves: dict[str, dict[Kind, list[NDArray[np.float64]]]] = {n: {"insertion": [], "deletion": []} for n in names}
    seen = []
    for number, one in enumerate(track(samples, "insertion and deletion")):
        inputs = one if isinstance(one, Tensor) else one.inputs
        seen.append(str(number) if isinstance(one, Tensor) else one.name)
        chosen = explainer.target(inputs, target)
        changer = Changer(explainer, inputs, chosen, steps, start)
        for name in names:
            if name == RANDOM:
                order = torch.from_numpy(
                    permute(np.arange(changer.num_places), changer.num_places, seed, number, RANDOM)
                )
            else:
                found = explain_with(explainer, inputs, chosen, name, layer=layer, **(options or {}).get(name, {}))
                order = found.map.flatten().cpu().argsort(descending=True, stable=True)
            for kind in curves[name]:
                curves[name][kind].append(changer.curve(order, kind))
    if not seen:
        raise ConfigError("Insertion and deletion need at least one input.", received="none")
    stacked = {name: {kind: np.stack(rows) for kind, rows in kinds.items()} for name, kinds in curves.items()}
    return Faithfulness(tuple(seen), over(stacked, areas), over(stacked, lambda rows: rows.mean(axis=0)))


Curves = Mapping[str, Mapping[Kind, NDArray[np.float64]]]


def over(curves: Curves, function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Curves:
    """A function of the curves (N, steps + 1) of each method and kind."""
    return {name: {kind: function(rows) for kind, rows in kinds.items()} for name, kinds in curves.items()}


def areas(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area under each curve, over shares from 0 to 1; (N, steps + 1) -> (N,).

    >>> areas(np.array([[0.0, 1.0], [1.0, 1.0]])).tolist()
    [0.5, 1.0]
    """
    return np.asarray(((curves[:, 1:] + curves[:, :-1]) / 2).mean(axis=1))


class Changer:
    """One input, of which places are hidden or shown."""

    def __init__(
        self, explainer: Explainer, inputs: Tensor, target: Target, steps: int, start: Literal["blur", "zeros"] | None
    ) -> None:
        self.values, self.steps = explainer.values(inputs), steps
        places = self.values.shape[2:]
        self.num_places = places.numel()
        small = explainer.token_layer is not None or max(places) <= FEW
        blurred = start == "blur" or (start is None and not small)
        self.empty = torch.zeros_like(self.values)
        self.start = blur(self.values) if blurred else self.empty
        decode = explainer.task.decode
        self.scorer = Scorer(explainer, inputs, lambda outputs: target.of(decode(outputs)))

    def curve(self, order: Tensor, kind: Kind) -> NDArray[np.float64]:
        """The output after each step; places in the order of their importance, (P,) -> (steps + 1,)."""
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order))
        rank = rank.view(self.values.shape[2:]).to(self.values.device)
        inside, outside = (self.values, self.start) if kind == "insertion" else (self.empty, self.values)

        def make(rows: Sequence[int]) -> Tensor:
            counts = torch.tensor([round(row * self.num_places / self.steps) for row in rows], device=rank.device)
            first = rank < counts.view(-1, *[1] * rank.ndim)
            return torch.where(first[:, None], inside, outside)

        found = self.scorer.scores(make, self.steps + 1, self.values, kind)
        return found.values.double().numpy()


def blur(values: Tensor) -> Tensor:
    """A Gaussian blur along each axis; (1, C, *places) -> the same."""
    for axis in range(2, values.ndim):
        size = values.shape[axis]
        at = torch.arange(size, device=values.device, dtype=values.dtype)
        weights = (-((at[:, None] - at) ** 2) / (2 * max(LEAST_BLUR, size / BLUR) ** 2)).exp()
        weights = weights / weights.sum(dim=1, keepdim=True)
        values = (values.movedim(axis, -1) @ weights.T).movedim(-1, axis)
    return values
