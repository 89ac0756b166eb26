"""A network with what its inputs and outputs mean: what every method of this package works on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neocog.bundle.predictor import Input, Predictor
from neocog.dataset.record import Payload
from neocog.errors import ConfigError
from neocog.explaining.layers import Layer, Layers
from neocog.explaining.rules import PLAIN, Rules
from neocog.explaining.tape import Change, Tape, run
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.views import View
from neocog.planning import shared_copy
from neocog.tasks import Classification, Task
from neocog.tasks.target import Target
from neocog.zoo.network import join_outputs
from neocog.zoo.networks.efficientnet_lite import HalvingConv2d

__all__ = ["Explainer", "Sample"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One input, as the network receives it."""

    name: str
    inputs: Tensor
    """(1, *shape), normalised: pixels, a signal, a spectrogram, token ids, planes of a board."""
    decoded: Tensor
    """(*shape), before normalisation."""
    payload: Payload | None = None
    """As it is stored."""
    view: View | None = None
    """The part of a large image that the network receives, and where it lies."""


class Explainer:
    """A network, how it reads inputs and what its outputs mean. The network itself is never changed.

    Its modules are copied and its weights shared, so modes, hooks, buffers and gradients of the original stay as they
    are; forward hooks of the original are not called. Raises PlanError for a network that can't be followed, as
    `neocog.plan` does.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 2))
    >>> explainer = Explainer(net, (1, 8, 8), classes=("cat", "dog"))
    >>> explainer.target(torch.zeros(1, 1, 8, 8), "dog").channel
    1
    """

    def __init__(
        self,
        model: nn.Module,
        input_shape: Iterable[int],
        *,
        classes: Iterable[str] = (),
        task: Task | None = None,
        preprocess: Preprocess | None = None,
        dtype: torch.dtype | None = None,
        predictor: Predictor | None = None,
    ) -> None:
        """`classes` names the outputs of a classifier, "0", "1", ... if not given; `task` says what other outputs mean.

        `dtype` is that of the inputs, if it is not that of the weights: torch.int64 for token ids.
        """
        self.model = model
        self.network = shared_copy(model)
        for module in self.network.modules():
            if isinstance(module, HalvingConv2d):
                module.pads_maps = True  # as on the meta device, where the layers are traced
        self.input_shape = tuple(input_shape)
        self.layers = Layers.of(model, self.input_shape, dtype)
        self.preprocess, self.predictor = preprocess, predictor
        channels = sum(shape[0] for shape in self.layers.plan.output_shapes)
        self.task: Task = task or Classification(tuple(classes) or tuple(str(k) for k in range(channels)))
        first = next(self.network.parameters(), torch.empty(0))
        self.device, self.dtype = first.device, dtype or first.dtype

    @classmethod
    def of(cls, predictor: Predictor) -> "Explainer":
        """Of a bundle that was loaded. Raises ConfigError if its backend is not torch."""
        if predictor.model is None:
            raise ConfigError(
                "Only a network that torch computes can be explained.", received="a predictor with another backend",
                fix="Load the bundle with neocog.load.",
            )  # fmt: skip
        spec = predictor.preprocess
        return cls(
            predictor.model, spec.shape, task=predictor.task, preprocess=spec, predictor=predictor,
            dtype=None if spec.normalise(spec_zeros(spec)).is_floating_point() else torch.int64,
        )  # fmt: skip

    @property
    def token_layer(self) -> Layer | None:
        """The layer that turns token ids into vectors, (N, L, D); None for inputs that are numbers themselves."""
        return self.layers[0] if not self.dtype.is_floating_point else None

    def sample(self, one: Input | Tensor, name: str = "") -> Sample:
        """An input in any form that a predictor takes, or a normalised tensor (*shape) or (1, *shape).

        A task with places receives a large image in tiles; the first is taken, unless `samples` is asked.
        Raises DataError if it can't be read.
        """
        return next(iter(self.samples(one, name)))

    def samples(self, one: Input | Tensor, name: str = "") -> "list[Sample]":
        """All views of an input: one, or the tiles of a large image for a task with places."""
        if isinstance(one, Tensor):
            inputs = one.detach().to(self.device)
            inputs = inputs[None] if inputs.ndim == len(self.input_shape) else inputs
            if tuple(inputs.shape[1:]) != self.input_shape or len(inputs) != 1:
                raise ConfigError(
                    f"An input of this network has the shape {self.input_shape}.", received=f"{tuple(one.shape)}"
                )
            return [Sample(name or "input", inputs, inputs[0])]
        if self.predictor is None or self.preprocess is None:
            raise ConfigError(
                "Files and arrays need the preprocessing of a bundle.", received=f"{type(one).__name__}",
                fix="Pass a normalised tensor, or explain a bundle.",
            )  # fmt: skip
        name = name or (str(one) if isinstance(one, str) or hasattr(one, "__fspath__") else "input")
        content = self.predictor.content(one, name)
        if self.task.dense:
            views = list(self.preprocess.views(content, name))
            return [self.received(view.inputs, name, content, view) for view in views]
        return [self.received(self.preprocess.decode(content, name), name, content)]

    def received(self, decoded: Tensor, name: str, content: Payload | None = None, view: View | None = None) -> Sample:
        assert self.preprocess is not None
        inputs = self.preprocess.normalise(decoded[None]).to(self.device)
        return Sample(name, inputs, decoded, content, view)

    def outputs(self, inputs: Tensor) -> Tensor:
        """The outputs for normalised inputs, joined as `join_outputs` does; without gradients."""
        with torch.no_grad():
            outputs: Tensor = join_outputs(self.network(inputs))
        return outputs

    def target(self, inputs: Tensor, spec: str | int | Target | None = None) -> Target:
        """The output that an explanation is about, as the task names it; by default what the network decided for."""
        if isinstance(spec, Target):
            return spec
        return self.task.find_target(self.outputs(inputs), spec)

    def values(self, inputs: Tensor) -> Tensor:
        """The values that gradients are of: the inputs themselves, or the vectors of their tokens; (N, C, *places)."""
        if self.token_layer is None:
            return inputs.detach()
        found = run(self.network, inputs, [self.token_layer], gradients=False).values[self.token_layer]
        return found.transpose(1, 2)

    def tape(
        self,
        inputs: Tensor,
        keep: Iterable[Layer] = (),
        *,
        values: Tensor | None = None,
        rules: Rules = PLAIN,
        changes: Mapping[Layer, Change] | None = None,
        gradients: bool = True,
        network: nn.Module | None = None,
    ) -> Tape:
        """Run the network and keep layers. `values` replace what `values` gives for the inputs.

        The inputs of the tape, of which it gives gradients, are those values. `network` is a variant of the network
        with the same calls, such as one with other weights.
        """
        used = self.network if network is None else network
        if self.token_layer is None:
            given = inputs if values is None else values
            return run(used, given, keep, rules=rules, changes=changes, gradients=gradients)
        leaf = (self.values(inputs) if values is None else values).detach().clone().requires_grad_(gradients)
        ids = inputs if len(inputs) == len(leaf) else inputs.expand(len(leaf), *inputs.shape[1:])
        put: dict[Layer, Change] = {**(changes or {}), self.token_layer: lambda _: leaf.transpose(1, 2)}
        made = run(used, ids, keep, rules=rules, changes=put, gradients=gradients)
        return Tape(leaf, made.outputs, made.values)


def spec_zeros(spec: Preprocess) -> Tensor:
    """A decoded input of nothing, (1, *shape)."""
    zeros: Any = torch.zeros(1, *spec.shape, dtype=spec.dtype)
    assert isinstance(zeros, Tensor)
    return zeros
