"""The protocol of a task: everything that follows from the meaning of a target, and nothing about the kind of input.

The training loop, checkpoints, predictor, bundle, evaluation and report ask the task; none of them knows which one it
is. A task is one class, registered by its name:

    @register_task
    class Regression(Task):
        name = "regression"
        ...

A source whose `task` has this name is then trained, measured and predicted by it.
"""

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Record, Source
from neocog.errors import ConfigError, DataError, some
from neocog.evaluation import Evaluation, Statistic, Unusual, WorstError, without_intervals
from neocog.modalities.augment import Key
from neocog.modalities.draw import Drawing
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.tensor_spec import TensorSpec
from neocog.tasks.criterion import Criterion
from neocog.tasks.loss import LossConfig, LossKind
from neocog.tasks.target import Target, find_output
from neocog.zoo.network import WithAuxiliary, join_outputs

__all__ = ["TASKS", "MoveTargets", "Prediction", "Task", "register_task"]

MoveTargets = Callable[[Tensor, Key], Tensor]
"""Moves encoded targets (N, ...) as augmentation moves the inputs with these keys."""


@dataclass(frozen=True, slots=True)
class Prediction(ABC):
    """The network's answer for one input. Each task adds its own fields."""

    name: str
    pages: int = field(default=1, kw_only=True)
    """How many pages or frames an image's file holds; only the first was read."""
    unusual: bool | None = field(default=None, kw_only=True)
    """Whether the input is unlike the training data; None if the network can't tell."""

    def without_places(self) -> Self:
        """The prediction without what takes memory for each place of its input, such as a mask, and is not shown."""
        return self

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The answer itself, for a program: everything but the fields that all predictions have."""

    @abstractmethod
    def cells(self) -> dict[str, str]:
        """Column -> text, for a table that a person reads."""


class Task(ABC):
    """The meaning of a target: encoding, loss, metrics, decoding, and how target and prediction are shown.

    Shapes: logits (N, K) are the outputs of a network for N inputs; targets (N,) or (N, D) are as `encode` gives them.
    """

    name: ClassVar[str]
    """As `Source.task` and a bundle's manifest name it."""
    network_task: ClassVar[str] = "classification"
    """The task for which the catalogue lists the networks that this one trains."""
    by_class: ClassVar[bool] = False
    """Whether a target is the index of a class, so that inputs can be mixed, sampled and weighted by class."""
    dense: ClassVar[bool] = False
    """Whether a target has places within the input, as masks and boxes have: see `DenseTask`."""
    linear_head: ClassVar[Literal["classes", "labels", "values"] | None] = None
    """The logistic regression that can fit its last layer to frozen features: one class, or several labels."""
    row_per_object: ClassVar[bool] = False
    """Whether a CSV file has a row for each object of an input, rather than one for each input."""
    has_probabilities: ClassVar[bool] = False
    """Whether `decode` gives the probability of each class."""
    losses: ClassVar[tuple[LossKind, ...]] = ()
    """The kinds of loss to choose from, the usual one first; none if it has a loss of its own."""
    learns_decisions: ClassVar[bool] = False
    """Whether `learn_decisions` takes something from validation data."""
    calibrates: ClassVar[bool] = False
    """Whether `calibrate` can adjust its probabilities."""
    outputs_rule: ClassVar[str] = "The network must give one number for each of {num} classes."
    """The rule that `output_shapes` follows."""
    criterion: ClassVar[Criterion]
    """Which metric of `validation` chooses the checkpoint."""
    progress_metric: ClassVar[str]
    """The metric that is followed during training beside the loss: one of `validation`."""
    progress_percent: ClassVar[bool] = False
    """Whether it is a share, shown in per cent."""
    columns: ClassVar[tuple[str, ...]]
    """The scalar fields of `Prediction.to_json`: the columns of a CSV file."""
    drawn: ClassVar[str] = "Inputs as the network receives them, before normalisation"
    """The drawings of a report in a few words."""
    weights: Tensor | None = None
    """Of each class in the loss, (K,); None if all count the same."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        """`classes` names the outputs of the network, one each, as `Source.classes` does."""
        self.classes = classes

    @classmethod
    def for_training(cls, classes: tuple[str, ...], loss: LossConfig, targets: Tensor) -> Self:
        """The task as it is trained with these settings; `targets` are those of the training data."""
        return cls(classes)

    @classmethod
    def restore(cls, classes: tuple[str, ...], learned: Mapping[str, Any]) -> Self:
        """The task of a bundle; `learned` is the property of that name when the bundle was written.

        Raises ValueError for content that is not valid.
        """
        return cls(classes)

    @property
    def learned(self) -> dict[str, Any]:
        """All that the task took from the training and validation data, as JSON: scales, thresholds."""
        return {}

    def learn_decisions(self, logits: Tensor, targets: Tensor) -> None:
        """Set what turns outputs into decisions, such as thresholds, by validation data; (N, K) and encoded targets."""
        return  # most tasks have none

    def calibrate(self, logits: Tensor, targets: Tensor) -> str:
        """Adjust how sure predictions are by validation data, and say how; (N, K) and encoded targets."""
        raise NotImplementedError(f"{self.name} has no calibration")

    @property
    def flags_unusual(self) -> bool:
        """Whether predictions say if an input is unlike the training data."""
        return False

    def unusual_rows(self, logits: Tensor) -> Tensor | None:
        """Which inputs are unlike the training data, (N, K) -> (N,); None if the network can't tell."""
        return None

    def find_unusual(self, name: str, logits: Tensor, other_name: str, other: Tensor) -> Unusual | None:
        """How well logits (N, K) are told from those of other data (M, K); None if the network can't tell."""
        return None

    def statistic(self, scored: Any, targets: NDArray[Any], keys: Sequence[str]) -> Statistic:
        """The headline metric as a function of how often each sample counts, (N,) -> a number, for resampling.

        The arguments are those of `evaluate`. By default it evaluates once more for every call. NaN for samples on
        which the metric is not defined.
        """

        def metrics(rows: NDArray[np.int64]) -> dict[str, float]:
            part = [scored[i] for i in rows.tolist()] if isinstance(scored, list) else scored[rows]
            with without_intervals():
                found = self.evaluate(part, targets[rows], [keys[i] for i in rows.tolist()], data="", split="")
            return {name: estimate.value for name, estimate in found.metrics.items()}

        every = np.arange(len(keys))
        headline = next(iter(metrics(every)))
        return lambda counts: metrics(np.repeat(every, counts.astype(np.int64))).get(headline, math.nan)

    def sample_scores(self, scored: Any, targets: NDArray[Any], keys: Sequence[str]) -> NDArray[np.float64]:
        """The headline metric of each sample alone, or what stands for it; (N,). Arguments as of `evaluate`."""
        statistic, only, found = self.statistic(scored, targets, keys), np.zeros(len(keys)), np.zeros(len(keys))
        for i in range(len(keys)):
            only[i] = 1.0
            found[i] = statistic(only)
            only[i] = 0.0
        return found

    def find_target(self, outputs: Tensor, spec: str | int | None = None) -> Target:
        """The output that an explanation is about; outputs (1, K) or (1, K, *places) of the input.

        `spec` names it; by default it is the one that the network decided for. Raises ConfigError for an unknown one.
        """
        index = int(outputs[0].argmax()) if spec is None else find_output(spec, self.classes)
        return Target(self.classes[index], index)

    def target_text(self, target: Any) -> str:
        """A target of `match_targets` in a few words; empty if it is too large to be written."""
        return ""

    @property
    def num_outputs(self) -> int:
        return len(self.classes)

    @property
    def outputs_text(self) -> str:
        """The outputs of the network in a few words."""
        return some(self.classes)

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """The classes and their CSS colours in the drawings of a report, if colours have a meaning there."""
        return ()

    @classmethod
    def output_shapes(cls, num_classes: int, input_shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """The shapes of the network's outputs for one input, without the batch."""
        return ((num_classes,),)

    @classmethod
    def encode_records(cls, source: Source, indices: NDArray[np.int64], preprocess: Preprocess) -> Tensor:
        """The targets of these records as the loss takes them; (N, ...)."""
        return cls.encode(source.targets[indices])

    @classmethod
    def mover(cls, augment: Any, preprocess: Preprocess) -> MoveTargets | None:
        """How encoded targets move under this augmentation; None if they don't."""
        return None

    @classmethod
    def encode(cls, targets: NDArray[Any]) -> Tensor:
        """A source's targets as the loss takes them; floats as float32."""
        tensor = torch.from_numpy(np.ascontiguousarray(targets))
        return tensor.float() if tensor.is_floating_point() else tensor

    def match_targets(self, source: Source, indices: NDArray[np.int64]) -> NDArray[Any]:
        """The targets of these records, in the order of the network's outputs.

        Raises DataError if the source has other outputs than the network.
        """
        if source.classes != self.classes:
            raise DataError(
                "A network can only be evaluated on the targets that it was trained on.",
                received=f"{some(source.classes, 10)} instead of {some(self.classes, 10)}",
                where=source.name,
            )
        return source.targets[indices]

    def loss(self, outputs: Tensor | WithAuxiliary, targets: Tensor) -> Tensor:
        """The loss that training minimises, that of auxiliary heads added; a network's outputs -> ()."""
        if isinstance(outputs, WithAuxiliary):
            auxiliary = sum(self.logits_loss(logits, targets) for logits in outputs.auxiliary)
            return self.logits_loss(outputs.logits, targets) + outputs.weight * auxiliary
        return self.logits_loss(join_outputs(outputs), targets)

    def logits(self, outputs: Tensor | WithAuxiliary) -> Tensor:
        """The outputs that are scored, without those of auxiliary heads; (N, K)."""
        return outputs.logits if isinstance(outputs, WithAuxiliary) else join_outputs(outputs)

    def score(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The figures that are kept of a batch for `validation`, one row for each sample: by default the logits."""
        return logits

    def thin(self, logits: Tensor) -> Tensor:
        """The part of the logits that a bundle's golden samples store."""
        return logits

    def check_logits(self, logits: Tensor) -> None:
        """One number for each output; an invariant of ours, since networks are built for the data's outputs."""
        assert logits.shape[1:] == torch.Size([self.num_outputs]), logits.shape

    def average(self, views: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
        """The logits of test-time augmentation: the weighted mean of those of all views; V times (N, K) -> (N, K)."""
        mean = sum(weight * logits.double() for weight, logits in zip(weights, views, strict=True))
        return torch.as_tensor(mean).float()

    @abstractmethod
    def logits_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of one head; (N, K), targets -> ()."""

    @abstractmethod
    def progress_sum(self, logits: Tensor, targets: Tensor) -> float:
        """The progress metric, summed over the samples of a training batch."""

    @abstractmethod
    def validation(self, logits: Tensor, targets: Tensor) -> dict[str, float]:
        """The metrics that are followed during training, by name: `loss`, the progress metric, the criterion's.

        `logits` are what `score` kept.
        """

    @abstractmethod
    def decode(self, logits: Tensor) -> Tensor:
        """Logits (N, K) as predictions in float64: probabilities, or values in the unit of the targets."""

    @property
    def tensor_specs(self) -> tuple[TensorSpec, ...]:
        """The arrays that a program outside of Neocog gets for a batch."""
        decoded = "probabilities" if self.has_probabilities else "values"
        return tuple(TensorSpec(name, "float32", (None, self.num_outputs)) for name in ("logits", decoded))

    def tensors(self, logits: Tensor) -> dict[str, NDArray[Any]]:
        """Logits (N, K) as the arrays of `tensor_specs`."""
        found = (logits.float(), self.decode(logits).float())
        return {spec.name: values.numpy() for spec, values in zip(self.tensor_specs, found, strict=True)}

    @abstractmethod
    def predictions(self, names: Sequence[str], logits: Tensor, top: int) -> list[Prediction]:
        """One prediction for each row of logits (N, K); `top` is how many alternatives to list, if there are any."""

    def draw_error(self, record: Record, error: WorstError) -> Drawing | None:
        """A sample with its target and prediction, for a report; None: the input alone."""
        return None

    @abstractmethod
    def evaluate(self, logits: Any, targets: NDArray[Any], keys: Sequence[str], *, data: str, split: str) -> Evaluation:
        """All metrics with their intervals, the worst errors, and what a report shows.

        `logits` (N, K) are those of the records that `keys` name, `targets` those of `match_targets`. A `DenseTask`
        gets a list of `Compared` instead of logits.
        """


class Tasks(MutableMapping[str, "type[Task]"]):
    """All tasks by name. Those of Neocog are imported when they are first asked for: a prediction needs one of them."""

    def __init__(self) -> None:
        names = ("classification", "next move", "multi-label", "regression", "segmentation", "detection",
                 "multi-label segmentation", "signal segmentation")  # fmt: skip
        self.rows: dict[str, str | type[Task]] = {
            name: "neocog.tasks." + name.replace(" ", "_").replace("-", "_") for name in names
        }

    def __getitem__(self, name: str) -> type[Task]:
        row = self.rows[name]
        if isinstance(row, str):
            importlib.import_module(row)  # which registers it
            row = self.rows[name]
            assert not isinstance(row, str), name
        return row

    def __setitem__(self, name: str, task: type[Task]) -> None:
        self.rows[name] = task

    def __delitem__(self, name: str) -> None:
        del self.rows[name]

    def __contains__(self, name: object) -> bool:
        return name in self.rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


TASKS = Tasks()
"""All tasks by name."""

AnyTask = TypeVar("AnyTask", bound=type[Task])


def register_task(task: AnyTask) -> AnyTask:
    """Add a task to `TASKS`; a decorator. Raises ConfigError if another one has its name."""
    row = TASKS.rows.get(task.name, task.__module__)
    if row not in (task, task.__module__):
        raise ConfigError("Each task needs a name of its own.", received=f"a second task {task.name!r}")
    TASKS[task.name] = task
    return task
