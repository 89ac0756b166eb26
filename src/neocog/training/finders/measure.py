"""What a batch size takes on the device at hand: some steps of training with its optimiser, measured, thrown away."""

import math
import time
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import nn

from neocog.planning import Machine, forecast, plan
from neocog.progress import Bar
from neocog.tasks import Task
from neocog.training.config import TrainConfig
from neocog.training.engine import Arithmetic
from neocog.training.finders.batch import BatchSizes, Tried, search_sizes
from neocog.training.finders.memory import Memory, memory_of
from neocog.training.finders.trial import Batches, Trial, own_randomness
from neocog.training.optimizers import OptimizerConfig
from neocog.training.speed import PLAIN
from neocog.training.step import NotFiniteError

__all__ = ["find_size"]

SECONDS = 0.5  # of training, at least, for each size
STATES = 2  # of an optimiser for each weight, at most
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
UNTIMED = Machine(device="cpu", name="", flops={"fp32": math.inf}, bytes_per_second=math.inf, seconds_per_call=0.0)


def find_size(
    model: nn.Module,
    batches_of: Callable[[int], Batches],
    task: Task,
    *,
    optimizer: OptimizerConfig,
    config: TrainConfig,
    most: int,
    shape: tuple[int, ...],
    dtype: torch.dtype | None = None,
    arithmetic: Arithmetic = PLAIN,
    memory: Memory | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> BatchSizes:
    """Propose a batch size for the device on which the network is.

    On a GPU it is the largest that fits, tried until the memory is out. On a CPU, where a machine out of memory swaps
    or kills, it is the fastest, and a size is tried only where the plan's forecast and what smaller ones took leave
    room. `batches_of` gives the run's batches of a size, `most` is the number of training records, `shape` and
    `dtype` are one input's. The network and torch's generators are left as they are.

    Raises ConfigError where not even one record fits.
    """
    device = next(model.parameters()).device
    memory = memory or memory_of(device)
    on_gpu = device.type == "cuda"
    states = STATES + bool(config.ema_decay)
    planned = None if on_gpu else plan(model, shape, dtype=dtype)

    def expected(size: int) -> int:
        """The plan's forecast; the copy that is trained has weights of its own."""
        if planned is None:
            return 0
        return forecast(planned, UNTIMED, batch_size=size, optimizer_states=states, available=0).training_bytes

    with own_randomness(model), Bar("batch sizes", most) as bar:

        def measure(size: int) -> Tried:
            bar.draw(size, f"{size:,} at once")
            memory.begin()
            trial = Trial(model, task, optimizer, config, ema_decay=config.ema_decay, arithmetic=arithmetic)
            speed = speed_of(trial, batches_of(size), clock)
            took = memory.peak() if speed is not None else 0
            return Tried(size, speed is not None and took <= memory.limit, took, speed)

        try:
            return search_sizes(measure, most=most, limit=memory.limit, largest=on_gpu, expected=expected)
        finally:
            memory.clear()


def speed_of(trial: Trial, batches: Batches, clock: Callable[[], float]) -> float | None:
    """Samples in a second, of data and training together; None where the memory ran out."""
    try:
        return timed(trial, batches, clock)
    except (torch.OutOfMemoryError, MemoryError):
        return None
    except RuntimeError as error:
        if any(text in str(error) for text in OUT_OF_MEMORY):
            return None
        raise


def timed(trial: Trial, batches: Batches, clock: Callable[[], float]) -> float:
    """Samples in a second over whole blocks of batches, which a loader makes at once, after a first step."""
    train_on(trial, batches, 0, 0)  # the optimiser's state and the kernels' are made here
    block = getattr(batches, "steps_per_block", 1)
    num_samples, step, begin = 0, 0, clock()
    while True:
        epoch, place = divmod(step, batches.num_steps)
        num_samples += train_on(trial, batches, epoch + 1, place)
        step += 1
        whole = step % batches.num_steps % block == 0
        if whole and step > 1 and (seconds := clock() - begin) >= SECONDS:
            return num_samples / seconds


def train_on(trial: Trial, batches: Batches, epoch: int, step: int) -> int:
    """One step; gives the number of samples, when the device is done with them."""
    batch = batches.batch(epoch, step)
    with suppress(NotFiniteError):  # what is measured is the time and the memory
        trial.gradients(batch)
    trial.update()
    if trial.device.type == "cuda":
        torch.cuda.synchronize(trial.device)
    return len(batch[1])
