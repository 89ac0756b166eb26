"""Losses that stay on the device, as on a GPU: the host reads them every few steps, and nothing that is not finite
reaches the weights or a checkpoint. Here on a CPU, with the reads counted."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from neocog.data import ImagePreprocess
from neocog.errors import DivergenceError
from neocog.loading import InMemoryDataset, Loader
from neocog.tasks import Classification, LossConfig
from neocog.torch_private import TorchDispatchMode
from neocog.training import FitSettings, Interrupt, OptimizerConfig, ScheduleConfig, TrainConfig, Training, fit
from neocog.training.executor import StepExecutor
from neocog.training.meter import METER_STEPS
from neocog.training.monitoring import NO_MONITOR, Monitor, MonitorConfig, null_log
from neocog.training.speed import PLAIN, Candidate
from neocog.training.state import build_seeded

LABELS = torch.arange(320) % 3
IMAGES = (torch.arange(320) % 3 * 60)[:, None, None, None] + torch.arange(64).view(1, 1, 8, 8) % 7
DATA = InMemoryDataset(IMAGES.to(torch.uint8), LABELS, np.arange(320, dtype=np.uint64))
SPEC = ImagePreprocess(size=(8, 8), channels=1, mean=(0.5,), std=(0.3,))
TASK = Classification(("a", "b", "c"))
STEPS = 40  # of an epoch
OPTIMIZERS = {
    "sgd": OptimizerConfig(lr=0.05),
    "adamw": OptimizerConfig(name="adamw", lr=0.01, lookahead_steps=2),
    "muon": OptimizerConfig(name="muon", lr=0.01),
    "lars": OptimizerConfig(name="lars", lr=1, trust=0.01),
    "lamb": OptimizerConfig(name="lamb", lr=0.01),
    "sam": OptimizerConfig(lr=0.05, sam_rho=0.05),
}


class Reads(TorchDispatchMode):
    """Counts how often the host asks for a number of a tensor."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func.overloadpacket.__name__ in ("_local_scalar_dense", "is_nonzero", "equal")
        return func(*args, **(kwargs or {}))


class Bomb(nn.Module):
    """Makes its input NaN in one training step, counted from 0, and in all that follow."""

    def __init__(self, step, value=math.nan):
        super().__init__()
        self.step, self.value, self.calls = step, value, 0

    def forward(self, x):
        if self.training and torch.is_grad_enabled():
            self.calls += 1
            if self.calls - 1 == self.step:
                return x * self.value
        return x


class Keeping:
    """Saves copies in memory at the steps that are asked for."""

    def __init__(self, steps=()):
        self.steps, self.saved = steps, []

    def due(self, step):
        return step in self.steps

    def save(self, training):
        self.saved.append({key: value.detach().clone() for key, value in training.tensors().items()})

    def epoch_done(self, training, *, best):
        self.save(training)

    def close(self):
        pass


def network(bomb=None):
    def build():
        layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2)]
        return nn.Sequential(*layers, bomb or nn.Identity(), nn.Linear(4 * 36, 3))

    return build_seeded(build, seed=1)


def run(
    optimizer=OPTIMIZERS["sgd"], model=None, checkpointer=None, later=True, arithmetic=PLAIN, monitor=NO_MONITOR,
    task=TASK, **settings,
):  # fmt: skip
    config = TrainConfig(**({"epochs": 1, "batch_size": 8} | settings))
    model = model or network()
    executor = StepExecutor(model, task.loss, arithmetic, torch.device("cpu"))
    training = Training(model, optimizer, config.ema_decay, executor=executor)
    fit(
        training,
        Loader(DATA, SPEC, batch_size=8, seed=0),
        lambda model: {"loss": 1.0, "accuracy": 0.5},
        task,
        FitSettings(train=config, optimizer=optimizer, schedule=ScheduleConfig()),
        checkpointer=checkpointer or Keeping(),
        interrupt=Interrupt(),
        monitor=Monitor(monitor, model, null_log, device=torch.device("cpu")),
        check_later=later,
    )
    return training


def weights(training):
    return {
        key: value for key, value in training.tensors().items() if "running" not in key and "num_batches" not in key
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("settings", [{}, {"accumulate": 3, "ema_decay": 0.9, "clip_norm": 0.5}])
def test_checking_later_gives_the_same_bits(name, settings):
    now, later = (run(OPTIMIZERS[name], later=when, **settings) for when in (False, True))
    assert all(torch.equal(value, later.tensors()[key]) for key, value in now.tensors().items())
    for key in ("train_loss", "train_accuracy"):
        assert now.state.history[0][key] == later.state.history[0][key]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_host_reads_no_number_per_step(name):
    with Reads() as reads:
        run(OPTIMIZERS[name])
    assert reads.count <= STEPS // METER_STEPS + 3, "the correct answers, once for several steps"
    with Reads() as reads:
        run(OPTIMIZERS[name], later=False)
    assert reads.count >= STEPS


def test_host_reads_no_number_per_step_with_class_weights_clipping_and_average():
    task = Classification(("a", "b", "c"), LossConfig(class_weights="balanced"), LABELS)
    with Reads() as reads:
        run(task=task, clip_norm=1.0, adaptive_clip=0.01, ema_decay=0.9)
    assert reads.count <= STEPS // METER_STEPS + 3


def test_monitor_reads_the_loss_in_steps_that_it_logs_only():
    with Reads() as reads:
        run(monitor=MonitorConfig(log_seconds=0, log_every=10, warnings=False))
    assert reads.count <= STEPS // METER_STEPS + 3 + STEPS // 10


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "sam"])
@pytest.mark.parametrize("step", [0, 5, METER_STEPS, STEPS - 1])
def test_loss_that_is_not_finite_reaches_no_weight_and_is_named_by_its_step(name, step):
    good = Keeping([step])
    run(OPTIMIZERS[name], checkpointer=good, later=False)
    model = network(Bomb(step))
    optimizer = OPTIMIZERS[name]
    training = Training(model, optimizer, executor=StepExecutor(model, TASK.loss, PLAIN, torch.device("cpu")))
    with pytest.raises(DivergenceError, match=rf"The loss became NaN at step {step} \(epoch 1\), at learning rate"):
        fit(
            training, Loader(DATA, SPEC, batch_size=8, seed=0), lambda model: {"loss": 1.0, "accuracy": 0.5}, TASK,
            FitSettings(train=TrainConfig(epochs=1, batch_size=8), optimizer=optimizer, schedule=ScheduleConfig()),
            checkpointer=Keeping(), interrupt=Interrupt(), check_later=True,
        )  # fmt: skip
    assert all(value.isfinite().all() for value in training.model.parameters())
    if step:
        before = {key: value for key, value in good.saved[0].items() if key.startswith("model/")}
        after = weights(training)
        for key in before.keys() & after.keys():
            assert torch.equal(before[key], after[key]), key


def test_layer_is_named_though_the_loss_is_read_steps_later():
    model = network()
    with torch.no_grad():
        model[6].weight[0, 0] = math.inf
    with pytest.raises(DivergenceError, match=r"NaN at step 0 .*first appears in the weight of 6 \(Linear\)"):
        run(model=model)


@pytest.mark.parametrize("due", range(3, 9))
def test_no_checkpoint_is_written_after_a_loss_that_is_not_finite(due):
    checkpointer = Keeping([due])
    with pytest.raises(DivergenceError, match="at step 4 "):
        run(model=network(Bomb(4)), checkpointer=checkpointer)
    assert len(checkpointer.saved) == (due <= 4)
    for saved in checkpointer.saved:
        assert all(value.isfinite().all() for value in saved.values())


def test_infinite_loss_in_the_second_part_of_a_batch_is_named():
    with pytest.raises(DivergenceError, match=r"at step 3 "):
        run(model=network(Bomb(3 * 2 + 1, math.inf)), accumulate=2)


def test_in_fp16_a_loss_that_is_not_finite_skips_the_update_though_its_gradients_are_finite():
    """The loss overflows while its gradients don't: GradScaler alone would take the step."""
    model = network()
    executor = StepExecutor(model, overflowing(TASK.loss, 3), Candidate("fp16"), torch.device("cpu"))
    training = Training(model, OPTIMIZERS["sgd"], executor=executor)
    good = Keeping([3])
    with pytest.raises(DivergenceError, match="The loss became infinite at step 3 "):
        fit(
            training, Loader(DATA, SPEC, batch_size=8, seed=0), lambda model: {"loss": 1.0, "accuracy": 0.5}, TASK,
            FitSettings(
                train=TrainConfig(epochs=1, batch_size=8), optimizer=OPTIMIZERS["sgd"], schedule=ScheduleConfig()
            ),
            checkpointer=good, interrupt=Interrupt(), check_later=True,
        )  # fmt: skip
    for key, value in weights(training).items():
        if key.startswith("model/"):
            assert torch.equal(value, good.saved[0][key]), key


def overflowing(loss, step):
    calls = iter(range(10_000))
    return lambda outputs, labels: loss(outputs, labels) + (math.inf if next(calls) == step else 0.0)
