"""What tests let several processes do. Each task gets its world and returns tensors and plain values."""

import io
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import ConfigError, DataError
from neocog.tasks import Classification, LossConfig, MultiLabel, Regression, Task
from neocog.training import Interrupted, OptimizerConfig, TrainConfig, Training, freeze_norms, precise_bn
from neocog.training.distributed import (
    World,
    agree_stop,
    barrier,
    broadcast_buffers,
    broadcast_json,
    combine_statistics,
    convert_batch_norms,
    distribute,
    fail_together,
    gather_json,
    gather_logits,
    join_world,
    leave_world,
    loss_weight,
    my_rows,
    on_first,
    same_everywhere,
    scaled_loss,
    sum_everywhere,
    unsynchronised,
)
from neocog.training.executor import StepExecutor
from neocog.training.speed import PLAIN
from neocog.training.step import DeviceFlag, TrainingStep


def main(task: str, environment: dict[str, str], log: str, pipe: Connection, args: Sequence[Any]) -> None:
    """Run a task as the process that the environment says, and send what it returns."""
    os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    os.environ.update(environment)
    result = globals()[task](*args)
    buffer = io.BytesIO()
    torch.save(result, buffer)
    pipe.send_bytes(buffer.getvalue())


# --- Training -------------------------------------------------------------------------------------------------------


def network(dtype: torch.dtype) -> nn.Sequential:
    """Convolutions and batch norms, with all weights drawn from a fixed seed."""
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Conv2d(6, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), nn.Linear(36, 8), nn.BatchNorm1d(8), nn.Linear(8, 3),
    ).to(dtype)  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3)
    return model


def global_batch(step: int, size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(size, 2, 10, 10, generator=generator, dtype=torch.float64).to(dtype)
    return images, torch.randint(0, 3, (size,), generator=generator)


def train(
    world: World,
    dtype: torch.dtype,
    *,
    size: int = 7,
    steps: int = 20,
    weights: Sequence[float] | None = None,
    mixed: bool = False,
    again: Sequence[int] = (),
    **settings: Any,
) -> dict[str, Tensor]:
    """SGD with momentum from one world's part of each batch: the state, and each step's loss over the global batch.

    At the steps in `again` the network is distributed again, as in a run that is resumed.
    """
    model = network(dtype)
    forward = distribute(model, world, **settings)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    class_weights = None if weights is None else torch.tensor(weights, dtype=dtype)
    losses = []
    for step in range(steps):
        if step in again:
            forward = distribute(model, world, **settings)
        images, labels = global_batch(step, size, dtype)
        mine = slice(world.rank * size // world.size, (world.rank + 1) * size // world.size)
        images, labels = images[mine], labels[mine]
        if mixed:
            labels = F.one_hot(labels, 3).to(dtype)
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(images), labels, class_weights, label_smoothing=0.1)
        own = loss_weight(labels, class_weights)
        numerator, total = sum_everywhere([loss.item() * own, own], world)
        scaled_loss(loss, own, total, world).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(numerator / total)
    return {**model.state_dict(), "losses": torch.tensor(losses, dtype=torch.float64)}


TRAININGS: dict[str, dict[str, Any]] = {
    "float64": {"dtype": torch.float64},
    "float32": {"dtype": torch.float32},
    "even": {"dtype": torch.float64, "size": 8, "steps": 5},
    "weighted": {"dtype": torch.float64, "weights": [0.2, 1.0, 3.0], "steps": 5},
    "mixed": {"dtype": torch.float64, "weights": [0.2, 1.0, 3.0], "mixed": True, "steps": 5},
    "bf16": {"dtype": torch.float32, "bf16_gradients": True},
    "apart": {"dtype": torch.float64, "sync_batch_norm": False, "steps": 5},
}


def trainings(names: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    world = join_world("cpu")
    found = {name: train(world, **TRAININGS[name]) for name in names}
    leave_world(world)
    return found


def resumed() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The same run as one, and distributed again at two steps; buckets are small, so that there are several."""
    world = join_world("cpu")
    settings: dict[str, Any] = {"steps": 8, "size": 9, "bucket_mb": 0.0005}
    whole = train(world, torch.float32, **settings)
    parts = train(world, torch.float32, **settings, again=(3, 6))
    leave_world(world)
    return whole, parts


def without_sync() -> tuple[str, Tensor, Tensor]:
    """Buffers after training with each process's own statistics, before and after the first's are taken."""
    world = join_world("cpu")
    norm = nn.BatchNorm1d(2)
    forward = distribute(norm, world, sync_batch_norm=False)
    forward(torch.randn(4, 2, generator=torch.Generator().manual_seed(world.rank)))
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    broadcast_buffers(norm, world)
    leave_world(world)
    return type(norm).__name__, before, norm.running_mean


def steps_checked_later(bad_rank: int | None = None) -> list[dict[str, Tensor]]:
    """Four steps whose losses stay on the device, and the same with losses that are read at once: the weights.

    From the third step on the loss of `bad_rank` is NaN (its only: norms exchange nothing then); in all
    processes the weights are then those before it.
    """
    world = join_world("cpu")
    task = Classification(("a", "b", "c"))
    optimizer = OptimizerConfig(lr=0.05)
    found: list[dict[str, Tensor]] = []
    for later in (True,) if bad_rank is not None else (True, False):
        model = network(torch.float32)
        wrapped = distribute(model, world, sync_batch_norm=bad_rank is None)
        executor = StepExecutor(wrapped, task.loss, PLAIN, world.device)
        training = Training(model, optimizer, executor=executor)
        flag = DeviceFlag(world.device) if later else None
        step = TrainingStep(
            training=training, executor=executor, task=task, train=TrainConfig(), optimizer=optimizer, world=world,
            flag=flag,
        )  # fmt: skip
        for number in range(4):
            images, labels = global_batch(number, 8, torch.float32)
            mine = slice(4 * world.rank, 4 * world.rank + 4)
            if number == 2:
                found.append({name: value.detach().clone() for name, value in model.named_parameters()})
            bad = torch.nan if number >= 2 and world.rank == bad_rank else 1.0
            step.compute_gradients((images[mine] * bad, labels[mine]), seed=number)
            step.update()
            training.state.step += 1
        found.append({name: value.detach() for name, value in model.named_parameters()})
    leave_world(world)
    return found


def loss_tasks() -> dict[str, tuple[Task, Tensor]]:
    """Tasks with all their losses, and targets of seven samples, some of which are not known."""
    generator = torch.Generator().manual_seed(1)
    labels, names = torch.tensor([0, 1, 2, 0, 1, 2, 2]), ("a", "b", "c")
    tags = (torch.rand(7, 3, generator=generator) < 0.4).double()
    tags[0, 1], tags[5] = torch.nan, torch.nan
    numbers = torch.randn(7, 3, generator=generator, dtype=torch.float64) * 3
    numbers[6, 0] = torch.nan
    balanced = LossConfig(kind="focal", class_weights="balanced")
    return {
        "focal": (Classification(names, balanced, labels), labels),
        **{kind: (MultiLabel(names, LossConfig(kind=kind)), tags) for kind in MultiLabel.losses},
        **{kind: (Regression(names, LossConfig(kind=kind)), numbers) for kind in Regression.losses},
    }


def loss_gradients(world: World | None = None) -> dict[str, Tensor]:
    """The gradient of each task's loss over seven samples, of which each process has its own."""
    world = world or join_world("cpu")
    found: dict[str, Tensor] = {}
    images, _ = global_batch(0, 7, torch.float64)
    mine = slice(world.rank * 7 // world.size, (world.rank + 1) * 7 // world.size)
    for name, (task, targets) in loss_tasks().items():
        model = network(torch.float64)
        executor = StepExecutor(distribute(model, world), task.loss, PLAIN, world.device)
        optimizer = OptimizerConfig(lr=0.05)
        step = TrainingStep(
            training=Training(model, optimizer, executor=executor), executor=executor, task=task, train=TrainConfig(),
            optimizer=optimizer, world=world,
        )  # fmt: skip
        step.compute_gradients((images[mine], targets[mine]), seed=0)
        found[name] = torch.cat([p.grad.flatten().clone() for p in model.parameters() if p.grad is not None])
    if world.size > 1:
        leave_world(world)
    return found


# --- Batch norm -----------------------------------------------------------------------------------------------------


def norm_pass(norm: nn.Module, maps: Tensor, pulls: Tensor, rows: slice) -> dict[str, Any]:
    """A forward and a backward pass over some rows: outputs, the gradients, and what the norm holds afterwards."""
    maps = maps[rows].clone().requires_grad_()
    for parameter in norm.parameters():
        parameter.grad = None
    outputs = norm(maps)
    (outputs * pulls[rows]).sum().backward()
    gradients = {name: p.grad.clone() for name, p in norm.named_parameters() if p.grad is not None}
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    return {"outputs": outputs.detach(), "maps": maps.grad, "gradients": gradients, "state": state}


def norm_inputs(shape: Sequence[int], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    maps, pulls = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    return (maps * 3 + 5).to(dtype), pulls.to(dtype)


def make_norm(kind: Callable[..., nn.Module], **settings: Any) -> nn.Module:
    norm = kind(4, **settings)
    generator = torch.Generator().manual_seed(2)
    for parameter in norm.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return norm


NORMS: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...], dict[str, Any]]] = {
    "maps": (nn.BatchNorm2d, (5, 4, 3, 2), {}),
    "channels_last": (nn.BatchNorm2d, (5, 4, 3, 2), {}),
    "vectors": (nn.BatchNorm1d, (7, 4), {"momentum": None}),
    "signals": (nn.BatchNorm1d, (5, 4, 6), {"eps": 0.1, "momentum": 0.3}),
    "volumes": (nn.BatchNorm3d, (3, 4, 2, 3, 2), {}),
    "plain": (nn.BatchNorm2d, (5, 4, 3, 2), {"affine": False}),
    "without bias": (nn.BatchNorm2d, (5, 4, 3, 2), {"bias": False}),
    "untracked": (nn.BatchNorm2d, (5, 4, 3, 2), {"track_running_stats": False}),
}


def norms() -> dict[str, Any]:
    """Each kind of norm, two passes over this process's rows."""
    world = join_world("cpu")
    found: dict[str, Any] = {}
    for name, (kind, shape, settings) in NORMS.items():
        norm = make_norm(kind, **settings).double()
        convert_batch_norms(norm)
        maps, pulls = norm_inputs(shape)
        if name == "channels_last":
            maps = maps.to(memory_format=torch.channels_last)
        rows = slice(my_rows(len(maps), world).start, my_rows(len(maps), world).stop)
        found[name] = [norm_pass(norm, maps * scale, pulls, rows) for scale in (1, 2)]
    found |= {
        "modes": modes(world),
        "bf16": half(world),
        "precise": precise(world),
        "uneven": uneven(world),
    }
    leave_world(world)
    return found


def modes(world: World) -> dict[str, bool]:
    """What a norm does where it is not to be synchronised: evaluation, frozen, apart; each process has other maps."""
    maps = torch.randn(3, 4, generator=torch.Generator().manual_seed(world.rank))
    found: dict[str, bool] = {}
    for name in ("eval", "frozen", "apart"):
        plain, norm = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
        convert_batch_norms(norm)
        for each in (plain, norm):
            if name == "frozen":
                freeze_norms(each)
            each.train(name != "eval")
        if name == "apart":
            with unsynchronised():
                found[name] = torch.equal(norm(maps), plain(maps))
        else:
            found[name] = torch.equal(norm(maps), plain(maps))
        found[name] &= all(map(torch.equal, norm.buffers(), plain.buffers()))
    return found


def half(world: World) -> dict[str, Any]:
    """Under autocast, in bfloat16: the type of outputs and gradients, and the statistics."""
    norm = make_norm(nn.BatchNorm2d)
    convert_batch_norms(norm)
    maps, pulls = norm_inputs((16, 4, 8, 8), torch.bfloat16)
    rows = slice(my_rows(16, world).start, my_rows(16, world).stop)
    with torch.autocast("cpu", torch.bfloat16):
        return norm_pass(norm, maps, pulls, rows)


def precise(world: World) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Precise statistics from parts of different size, of a network in evaluation mode with one norm frozen."""
    free, frozen = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    model = nn.Sequential(free, frozen)
    freeze_norms(frozen)
    assert frozen.running_mean is not None
    frozen.running_mean.fill_(world.rank)
    model.eval()
    values = torch.randn(10, 3, generator=torch.Generator().manual_seed(3))
    mine = values[my_rows(10, world).start : my_rows(10, world).stop]
    precise_bn(model, [mine])
    combine_statistics(model, len(mine))
    return values, free.running_mean, free.running_var, frozen.running_mean


def uneven(world: World) -> str | None:
    """One process has one value and the others none."""
    norm = nn.BatchNorm1d(2)
    convert_batch_norms(norm)
    try:
        norm(torch.ones(1 if world.first else 0, 2))
    except ValueError as error:
        return str(error)
    return None


# --- Exchange -------------------------------------------------------------------------------------------------------


def exchange() -> dict[str, Any]:
    world = join_world("cpu")
    found: dict[str, Any] = {
        "place": [world.rank, world.size, world.local_rank, world.local_size, str(world.device), world.first],
        "sums": sum_everywhere([world.rank + 1, 0.1], world),
        "stop": [agree_stop(15 if world.rank == 1 else 0, world), agree_stop(0, world)],
        "broadcast": broadcast_json({"a": ["x" * (1 + 9 * world.rank), world.rank]}, world),
        "gathered": gather_json("ü" * world.rank, world),
        "first": on_first(lambda: world.rank + 5, world),
        "differs": [message_of(value, kind, world) for value, kind in differing(world)],
    }
    same_everywhere({"a": 1}, "settings", world)
    barrier(world)
    for count in (0, 1, 2, 7, 8):
        rows = my_rows(count, world)
        logits = torch.arange(count * 3.0).view(count, 3)[rows.start : rows.stop]
        found[f"logits {count}"] = gather_logits(logits if len(rows) else torch.empty(0), count, world)
    try:
        gather_logits(torch.zeros(2 if world.first else 5, 3), 6, world)
    except AssertionError as error:
        found["miscounted"] = str(error)
    leave_world(world)
    return found


def differing(world: World) -> list[tuple[Any, str]]:
    rank = world.rank
    return [
        ("a1" if rank < 2 else "b2", "data"),
        ({"train.epochs": 3 + (rank == 1), "train.seed": 0, **({"new": 1} if rank else {})}, "settings"),
    ]


def message_of(value: Any, kind: str, world: World) -> str | None:
    try:
        same_everywhere(value, kind, world)
    except ConfigError as error:
        return str(error)
    return None


# --- Ends -----------------------------------------------------------------------------------------------------------


def end(kind: str, rank: int) -> None:
    """One process ends in some way, while the others wait for it in an exchange or compute alone."""
    world = join_world("cpu")
    try:
        with fail_together(world):
            barrier(world)
            if world.rank == rank:
                FAILURES[kind]()
            if kind == "compute":
                time.sleep(60)  # ended from outside
            barrier(world)
    except DataError as error:
        sys.stderr.write(f"DataError with {error}\n")
        sys.exit(2)
    finally:
        leave_world(world)


def raise_data_error() -> Never:
    raise DataError("An image must be whole.", received="half of one")


def raise_bug() -> Never:
    raise KeyError("nothing")


FAILURES: dict[str, Callable[[], object]] = {
    "data": raise_data_error,
    "compute": raise_data_error,
    "bug": raise_bug,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: sys.exit(3),
}


def all_well() -> str:
    """Ends that are not failures: one process is done early; all are interrupted."""
    world = join_world("cpu")
    with fail_together(world):
        barrier(world)
    for _ in range(2):
        try:
            with fail_together(world):
                if agree_stop(2 if world.rank == 1 else 0, world):
                    barrier(world)
                    raise Interrupted("Stopped after step 3")
        except Interrupted as stop:
            message = str(stop)
    leave_world(world)
    return message


def joined_before() -> list[object]:
    """A process group that someone else has made stays when the world is left."""
    torch.distributed.init_process_group("gloo")
    world = join_world("cpu")
    found = [world.rank, world.size, world.local_rank, world.local_size, sum_everywhere([1], world)]
    leave_world(world)
    still = torch.distributed.is_initialized()
    torch.distributed.destroy_process_group()
    return [*found, still]
