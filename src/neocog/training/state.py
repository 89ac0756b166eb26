"""What a run is at one moment: all that has to be saved to go on from there."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from neocog.training.averaging import AveragedModel
from neocog.training.engine import Engine, laid_out_like
from neocog.training.optimizers import OptimizerConfig, make_optimizer
from neocog.zoo import Network

__all__ = ["State", "Training"]

Built = TypeVar("Built", bound=nn.Module)


@dataclass(slots=True)
class State:
    """Where a run stands. Sums are over the epoch that is under way."""

    step: int = 0
    """Updates made in all."""
    loss_sum: float = 0.0
    num_correct: float = 0.0
    num_seen: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    """One row for each epoch that is trained and validated."""
    best_epoch: int = -1
    reference: float | None = None
    """The figure that patience compares with: the last one that was better by more than min_delta."""
    stale: int = 0
    """Epochs since then."""
    stopped_early: bool = False

    def start_epoch(self) -> None:
        self.loss_sum, self.num_correct, self.num_seen, self.seconds = 0.0, 0, 0, 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Training:
    """The network, its optimiser, its average and the state: what a checkpoint holds."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerConfig,
        ema_decay: float = 0.0,
        *,
        engine: Engine | None = None,
    ) -> None:
        """Without an `engine` steps are computed in plain float32; one is made before, as it may lay weights out."""
        self.model = model
        self.engine = engine
        self.optimizer = make_optimizer(model, optimizer, self.hidden)
        self.average = AveragedModel(model, ema_decay) if ema_decay else None
        self.state = State()

    @cached_property
    def hidden(self) -> list[nn.Parameter]:
        """All parameters but those of the classifier, which adaptive clipping leaves alone."""
        return hidden_parameters(self.model)

    @property
    def result(self) -> nn.Module:
        """The network that is validated and kept: the average where there is one."""
        return self.average.model if self.average else self.model

    def tensors(self) -> dict[str, Tensor]:
        """Everything in tensors by name; the optimiser's by the parameter that it belongs to."""
        named = {f"model/{key}": value for key, value in self.model.state_dict().items()}
        if self.average:
            named |= {f"average/{key}": value for key, value in self.average.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for slot, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    named[f"optimizer/{name}/{slot}"] = value
        if self.engine:
            named |= {f"engine/{key}": value for key, value in self.engine.tensors().items()}
        return named

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """The inverse of `tensors` and `State.to_json`; names and shapes have been checked."""
        self.model.load_state_dict(part(tensors, "model/"))
        if self.average:
            self.average.model.load_state_dict(part(tensors, "average/"))
        self.optimizer.state.clear()
        for name, parameter in self.model.named_parameters():
            slots = part(tensors, f"optimizer/{name}/")
            if slots:  # all beside their parameter, also the count of steps, as torch's fused updates want it
                self.optimizer.state[parameter] = {
                    slot: laid_out_like(value, parameter) for slot, value in slots.items()
                }
        if self.engine and (scale := part(tensors, "engine/")):
            self.engine.restore(scale)
        self.state = State(**state)


def hidden_parameters(model: nn.Module) -> list[nn.Parameter]:
    """All but those whose shape follows from the number of classes; of a network that is not of the catalogue, all but
    those of its last layer."""
    parameters = dict(model.named_parameters())
    if isinstance(model, Network) and model.build_spec is not None:
        last = model.build_spec.class_keys()
    else:
        module = list(parameters)[-1].rpartition(".")[0]
        last = frozenset(key for key in parameters if key.rpartition(".")[0] == module)
    return [parameter for key, parameter in parameters.items() if key not in last]


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def build_seeded(build: Callable[[], Built], seed: int) -> Built:
    """Build a network with weights that follow from the seed alone; torch's own generators are left as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()
