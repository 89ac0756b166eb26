"""How long and how much: time per batch and epoch, memory, and the largest batch, for a plan on a machine.

The floor is what the measured peaks allow: each operation takes at least the time of its multiplications and at least
that of the bytes it must move. Real kernels stay above it by a factor that is measured in `bench/rows/forecasts.py`.
"""

from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from neocog.errors import PlanError
from neocog.planning.machine import Machine, Precision, available_bytes
from neocog.planning.plan import Plan
from neocog.planning.rows import Row

__all__ = ["Forecast", "forecast"]

BACKWARD = 2  # the gradients for the input and for the weights each cost as much as the forward pass
ABOVE_FLOOR = 2.0  # median of measured time over floor; see docs/figures.md
CALLS = 3  # calls of torch for each operation in a training step: forward, backward, accumulation
SPARE = 0.9  # of the memory that is free


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """Seconds and bytes for one batch size. A floor can't be beaten on this machine; the others are expectations."""

    batch_size: int
    precision: str
    inference_floor: float
    inference_seconds: float
    training_floor: float
    training_seconds: float
    inference_bytes: int
    training_bytes: int
    available_bytes: int
    largest_inference_batch: int
    largest_training_batch: int
    samples: int | None
    epoch_seconds: float | None
    """For the given number of samples, trained once each; the last batch may be smaller."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def forecast(
    plan: Plan,
    machine: Machine,
    *,
    batch_size: int = 32,
    samples: int | None = None,
    precision: Precision = "fp32",
    optimizer_states: int = 1,
    available: int | None = None,
) -> Forecast:
    """Expected time and memory of inference and training at a batch size.

    Memory of training: weights, their gradients, as many optimizer states (1 for SGD with momentum, 2 for Adam), and
    for each sample what autograd keeps and the gradients alive with it. Half-precision activations take half.

    Raises PlanError for a batch size or a number of samples below 1.
    """
    for name, value in (("batch_size", batch_size), ("samples", samples)):
        if value is not None and value < 1:
            raise PlanError(f"{name} must be at least 1.", received=f"{value}")
    share = 2 / plan.itemsize if precision == "bf16" else 1.0
    weights = plan.weight_bytes
    fixed = weights + plan.parameters * plan.itemsize * (1 + optimizer_states)
    per_sample = int((plan.training_bytes + plan.inference_bytes) * share)
    held = int(plan.inference_bytes * share)
    free = available_bytes(machine.device) if available is None else available

    def floor(passes: int) -> float:
        return sum(row_floor(row, machine, precision, batch_size, plan.itemsize * share) for row in plan.rows) * passes

    calls = len(plan.rows) * machine.seconds_per_call
    update = (3 + 2 * optimizer_states) * plan.parameters * plan.itemsize / machine.bytes_per_second
    training = floor(1 + BACKWARD) + update
    seconds = training * ABOVE_FLOOR + calls * CALLS
    return Forecast(
        batch_size=batch_size,
        precision=precision,
        inference_floor=floor(1),
        inference_seconds=floor(1) * ABOVE_FLOOR + calls,
        training_floor=training,
        training_seconds=seconds,
        inference_bytes=weights + held * batch_size,
        training_bytes=fixed + per_sample * batch_size,
        available_bytes=free,
        largest_inference_batch=largest(free, weights, held),
        largest_training_batch=largest(free, fixed, per_sample),
        samples=samples,
        epoch_seconds=None if samples is None else seconds * samples / batch_size,
    )


def largest(free: int, fixed: int, per_sample: int) -> int:
    """How many samples fit beside what is there once; some of the memory is left free."""
    return max(int((free * SPARE - fixed) // max(per_sample, 1)), 0)


def row_floor(row: Row, machine: Machine, precision: str, batch_size: int, itemsize: float) -> float:
    """The least seconds of an operation in one pass: by its multiplications, or by the bytes it moves."""
    if row.moves and not row.activation_bytes:
        return 0.0
    values = sum(prod(shape) for shape in row.input_shapes) + prod(row.output_shape)
    moved = (values * batch_size + row.parameters + row.shared) * itemsize
    return max(row.flops * batch_size / machine.flops[precision], moved / machine.bytes_per_second)
