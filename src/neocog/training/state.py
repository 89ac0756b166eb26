"""The state of a run at one moment: everything that must be saved to resume from there."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from neocog.torch_private import foreach_lerp_
from neocog.training.executor import StepExecutor, lay_out_like
from neocog.training.optim import OptimizerConfig, make_optimizer
from neocog.training.replans import total_steps
from neocog.zoo import Network

__all__ = ["State", "Training", "WeightAverage", "build_seeded", "hidden_parameters"]


class WeightAverage:
    """A copy of a network whose weights follow the original's slowly.

        average <- d * average + (1 - d) * weights,    d = min(decay, (1 + t) / (10 + t)) at update t

    The decay rises so that the random initial weights are soon forgotten. Buffers, such as the statistics of batch
    norm, are copied. torch.optim.swa_utils.WeightAverage takes the weights of the first update whole, where this decay
    takes 9/10 of them, and reads its count of updates from the device in each.
    Source: Tarvainen & Valpola 2017; the rising decay as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False)
        pairs = list(zip(self.model.parameters(), model.parameters(), strict=True))
        self.averages: list[Tensor] = [average for average, _ in pairs]
        self.weights: list[Tensor] = [weight for _, weight in pairs]
        self.buffers = list(zip(self.model.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the weights after update number `step`, from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        foreach_lerp_(self.averages, self.weights, 1 - decay)
        for average, buffer in self.buffers:
            average.copy_(buffer)


Built = TypeVar("Built", bound=nn.Module)


@dataclass(slots=True)
class State:
    """The progress of a run. Sums are over the current epoch."""

    step: int = 0
    """Updates made in all."""
    loss_sum: float = 0.0
    progress_sum: float = 0.0
    """Of the metric that is followed beside the loss, over samples."""
    num_seen: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    """One row per epoch that is trained and validated."""
    start: dict[str, float] | None = None
    """The metrics on validation data before the first step, if they were measured."""
    best_epoch: int = -1
    """The index of the best row of the history; -1: no epoch is better than the start."""
    reference: float | None = None
    """The figure that patience compares with: the last that was better by more than min_delta."""
    stale: int = 0
    """Epochs since then."""
    stopped_early: bool = False
    replans: list[list[int]] = field(default_factory=list)
    """Pairs [S, T]: after S steps the total number of steps became T."""
    elapsed: float = 0.0
    """Seconds that a run within a budget has used, in all its processes; 0 without a budget."""

    def num_steps(self, planned: int) -> int:
        """The total number of steps, as it is known now, of a run with `planned` steps."""
        return total_steps(planned, self.replans, self.step)

    def num_epochs(self, planned: int, epoch_steps: int) -> int:
        """The number of epochs, as it is known now, of a run with `planned` epochs; the last may be partial."""
        return -(-self.num_steps(planned * epoch_steps) // epoch_steps)

    def start_epoch(self) -> None:
        self.loss_sum, self.progress_sum, self.num_seen, self.seconds = 0.0, 0.0, 0, 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; earlier checkpoints count correct answers, the metric of their only task.

        What an earlier checkpoint lacks is as in a new run.
        """
        renamed = {"progress_sum" if key == "num_correct" else key: value for key, value in state.items()}
        return cls(**renamed)


class Training:
    """The network, its optimiser, its average and the state: what a checkpoint holds."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerConfig,
        ema_decay: float = 0.0,
        *,
        executor: StepExecutor | None = None,
    ) -> None:
        """Without an `executor` steps are computed in plain float32; make it first: it may change layouts."""
        self.model = model
        self.executor = executor
        self.optimizer = make_optimizer(model, optimizer, self.hidden)
        self.average = WeightAverage(model, ema_decay) if ema_decay else None
        self.state = State()

    @cached_property
    def hidden(self) -> list[nn.Parameter]:
        """All parameters but those of the classifier, which adaptive clipping leaves alone."""
        return hidden_parameters(self.model)

    @property
    def result(self) -> nn.Module:
        """The network that is validated and kept: the average, if there is one."""
        return self.average.model if self.average else self.model

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name; the optimiser's by the parameter that they belong to."""
        named = {f"model/{key}": value for key, value in self.model.state_dict().items()}
        if self.average:
            named |= {f"average/{key}": value for key, value in self.average.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for slot, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    named[f"optimizer/{name}/{slot}"] = value
        if self.executor:
            named |= {f"engine/{key}": value for key, value in self.executor.tensors().items()}
        return named

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """The inverse of `tensors` and `State.to_json`; names and shapes have been checked."""
        self.model.load_state_dict(part(tensors, "model/"))
        if self.average:
            self.average.model.load_state_dict(part(tensors, "average/"))
        self.optimizer.state.clear()
        for name, parameter in self.model.named_parameters():
            slots = part(tensors, f"optimizer/{name}/")
            if slots:  # all on their parameter's device, also the count of steps, as torch's fused updates require
                self.optimizer.state[parameter] = {
                    slot: lay_out_like(value, parameter) for slot, value in slots.items()
                }
        if self.executor and (scale := part(tensors, "engine/")):
            self.executor.restore(scale)
        self.state = State.from_json(state)


def hidden_parameters(model: nn.Module) -> list[nn.Parameter]:
    """All parameters but those whose shape follows from the number of outputs; in a network from outside the catalogue,
    all but those of its last layer."""
    parameters = dict(model.named_parameters())
    if isinstance(model, Network) and model.build_spec is not None:
        last = model.build_spec.class_keys()
    else:
        module = list(parameters)[-1].rpartition(".")[0]
        last = frozenset(key for key in parameters if key.rpartition(".")[0] == module)
    return [parameter for key, parameter in parameters.items() if key not in last]


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def build_seeded(build: Callable[[], Built], seed: int) -> Built:
    """Build a network whose weights follow from the seed alone; torch's own generators are left as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()
