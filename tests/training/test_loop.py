import copy
import errno
import math
import os
import signal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.data import AugmentConfig, ImagePreprocess
from neocog.errors import CheckpointError, DivergenceError, StorageError
from neocog.loading import InMemoryDataset, Loader
from neocog.tasks import Classification, Criterion
from neocog.training import (
    FitSettings,
    Interrupt,
    Interrupted,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
    Training,
    fit,
    load_checkpoint,
    save_checkpoint,
)
from neocog.training.executor import StepExecutor
from neocog.training.meter import Meter
from neocog.training.speed import PLAIN, Candidate
from neocog.training.state import State, build_seeded
from neocog.training.step import StepLoss

GENERATOR = np.random.default_rng(0)
LABELS = torch.from_numpy(GENERATOR.integers(0, 3, 120))
IMAGES = (
    torch.from_numpy(GENERATOR.integers(0, 120, (120, 1, 8, 8), dtype=np.uint8)) + (LABELS * 60)[:, None, None, None]
)
DATA = InMemoryDataset(IMAGES.to(torch.uint8), LABELS, np.arange(120, dtype=np.uint64))
SPEC = ImagePreprocess(size=(8, 8), channels=1, mean=(0.5,), std=(0.3,))
TASK = Classification(("a", "b", "c"))


def small() -> nn.Module:
    return build_seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(4 * 36, 3)
        ),
        seed=1,
    )


class Recorder:
    """Keeps copies of the state in memory; `stop_after` asks to stop, as a signal would."""

    def __init__(self, interrupt=None, stop_after=None, every=0):
        self.interrupt, self.stop_after, self.every = interrupt, stop_after, every
        self.saved, self.best = [], []

    def due(self, step):
        if step == self.stop_after:
            self.interrupt.asked = signal.SIGINT
        return bool(self.every) and step % self.every == 0

    def save(self, training):
        tensors = {key: value.detach().clone() for key, value in training.tensors().items()}
        self.saved.append((tensors, copy.deepcopy(training.state.to_json())))

    def epoch_done(self, training, *, best):
        self.best.append(best)
        self.save(training)

    def close(self):
        pass


def validate(model):
    model.eval()
    with torch.no_grad():
        return TASK.validation(model(SPEC.normalise(DATA.inputs)), DATA.labels)


def run(
    training=None, checkpointer=None, interrupt=None, *, optimizer=None, schedule=None, arithmetic=PLAIN,
    validator=validate, clock=None, **settings,
):  # fmt: skip
    optimizer = optimizer or OptimizerConfig(lr=0.05, weight_decay=1e-3)
    config = TrainConfig(**({"epochs": 3, "batch_size": 16} | settings))
    training = training or fresh(optimizer, config.ema_decay, arithmetic)
    augment = AugmentConfig(shift=1, flip=0.5)
    loader = Loader(DATA, SPEC, batch_size=config.batch_size, seed=0, augment=augment)
    fit(
        training,
        loader,
        validator,
        TASK,
        FitSettings(train=config, optimizer=optimizer, schedule=schedule or ScheduleConfig(name="one_cycle")),
        checkpointer=checkpointer or Recorder(),
        interrupt=interrupt or Interrupt(),
        clock=clock,
    )
    return training


def fresh(optimizer, ema_decay=0.0, arithmetic=PLAIN):
    """A training that begins, in this arithmetic."""
    model = small()
    executor = StepExecutor(model, TASK.loss, arithmetic, torch.device("cpu"))
    return Training(model, optimizer, ema_decay, executor=executor)


def test_frozen_backbone_keeps_its_weights_for_n_epochs():
    first = small()
    frozen = run(epochs=1, freeze_epochs=1).model
    assert torch.equal(frozen[0].weight, first[0].weight)
    assert not torch.equal(frozen[-1].weight, first[-1].weight)
    assert not torch.equal(run(epochs=2, freeze_epochs=1).model[0].weight, first[0].weight)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_it_learns():
    training = run(epochs=8)
    assert training.state.history[-1]["val_accuracy"] > 0.95
    assert training.state.history[-1]["train_loss"] < training.state.history[0]["train_loss"]
    assert training.state.step == 8 * 8


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": OptimizerConfig(lr=0.05, l1=1e-4)},
        {"optimizer": OptimizerConfig(name="adam", lr=0.01)},
        {"optimizer": OptimizerConfig(name="adamw", lr=0.01), "ema_decay": 0.9},
        {"optimizer": OptimizerConfig(name="muon", lr=0.01, momentum=0.95)},
        {"schedule": ScheduleConfig(name="cosine", warmup_epochs=1), "clip_norm": 0.5},
        {"adaptive_clip": 0.01, "precise_bn": 4},
        {"optimizer": OptimizerConfig(name="lars", lr=1, trust=0.01, lookahead_steps=5), "accumulate": 3},
        {"optimizer": OptimizerConfig(name="lamb", lr=0.01, decay="weights", weight_decay=0.1), "freeze_epochs": 1},
        {"optimizer": OptimizerConfig(lr=0.05, sam_rho=0.05, bias_lr_factor=2, layer_decay=0.8)},
        {"arithmetic": Candidate("bf16", True, False), "ema_decay": 0.9},
    ],
)
def test_resuming_at_any_step_gives_the_same_bits(settings, tmp_path):
    whole = run(**settings)
    optimizer = settings.get("optimizer", OptimizerConfig(lr=0.05, weight_decay=1e-3))
    for stop in (1, 7, 8, 13, 23):
        interrupt = Interrupt()
        checkpointer = Recorder(interrupt, stop_after=stop)
        first = fresh(optimizer, settings.get("ema_decay", 0.0), settings.get("arithmetic", PLAIN))
        with pytest.raises(Interrupted, match=f"Stopped after step {stop} of 24"):
            run(first, checkpointer, interrupt, **settings)
        path = tmp_path / f"{stop}.safetensors"
        save_checkpoint(path, first, {"data": "x"})
        second = fresh(optimizer, settings.get("ema_decay", 0.0), settings.get("arithmetic", PLAIN))
        assert load_checkpoint(path, second) == {"data": "x"}
        run(second, **settings)
        assert same(whole.tensors(), second.tensors()), stop
        for row, other in zip(whole.state.history, second.state.history, strict=True):
            for key in row.keys() - {"seconds", "samples_per_second"}:
                assert row[key] == other[key], (stop, key)


def test_torchs_own_generator_is_left_as_it_was():
    before = torch.get_rng_state()
    run(epochs=1)
    assert torch.equal(before, torch.get_rng_state())


def test_clipping_limits_the_update():
    free = run(epochs=1, optimizer=OptimizerConfig(lr=1.0, momentum=0.0), schedule=ScheduleConfig(name="constant"))
    clipped = run(
        epochs=1,
        optimizer=OptimizerConfig(lr=1.0, momentum=0.0),
        schedule=ScheduleConfig(name="constant"),
        clip_norm=1e-4,
    )
    start = small().state_dict()["5.weight"]
    assert (clipped.model[5].weight - start).norm() <= 8 * 1e-4 + 1e-6
    assert (free.model[5].weight - start).norm() > 0.01


def scripted(figures):
    """A validation that gives these accuracies in turn."""
    left = iter(figures)
    return lambda model: {"accuracy": next(left), "loss": 1.0}


def test_early_stopping_waits_for_patience_and_keeps_the_best():
    checkpointer = Recorder()
    training = run(
        checkpointer=checkpointer,
        validator=scripted([0.5, 0.7, 0.7, 0.6, 0.9]),
        epochs=5,
        patience=2,
        schedule=ScheduleConfig(),
    )
    assert training.state.stopped_early
    assert len(training.state.history) == 4
    assert training.state.best_epoch == 1
    assert checkpointer.best == [True, True, False, False]


def test_min_delta_counts_small_gains_as_none_but_the_best_is_still_the_best():
    checkpointer = Recorder()
    training = run(
        checkpointer=checkpointer, validator=scripted([0.5, 0.51, 0.52, 0.53]), epochs=4, patience=2, min_delta=0.1
    )
    assert training.state.stopped_early
    assert training.state.best_epoch == 2


def test_loss_can_choose_the_best_epoch():
    left = iter([1.0, 0.5, 0.7])
    training = run(validator=lambda model: {"accuracy": 0.5, "loss": next(left)}, monitor="loss")
    assert training.state.best_epoch == 1


def test_last_epoch_can_be_chosen_whatever_its_score():
    training = run(validator=scripted([0.9, 0.7, 0.5]), monitor="last", epochs=3)
    assert training.state.best_epoch == 2


def test_non_finite_loss_stops_before_it_reaches_the_weights():
    training = Training(small(), OptimizerConfig())
    with torch.no_grad():
        training.model[5].weight[0, 0] = math.inf
    before = {key: value.clone() for key, value in training.model.state_dict().items() if "running" not in key}
    with pytest.raises(
        DivergenceError, match=r"The loss became NaN at step 0 .*first appears in the weight of 5 \(Linear\)"
    ):
        run(training)
    after = training.model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items() if "num_batches" not in key)


def test_last_step_that_ruins_the_weights_is_found_by_validation():
    with pytest.raises(DivergenceError, match="The loss became"):
        run(
            epochs=1,
            batch_size=120,
            optimizer=OptimizerConfig(lr=1e38, momentum=0.0, nesterov=False),
            schedule=ScheduleConfig(name="constant"),
        )


def test_a_signal_in_the_last_step_of_an_epoch_is_heeded():
    interrupt = Interrupt()

    def ask(model):
        interrupt.asked = signal.SIGTERM
        return {"accuracy": 0.5, "loss": 1.0}

    with pytest.raises(Interrupted, match="Stopped after epoch 1 of 3") as stop:
        run(interrupt=interrupt, validator=ask)
    assert stop.value.signum == signal.SIGTERM


def test_the_average_is_what_is_validated_and_kept():
    training = run(ema_decay=0.99)
    assert training.result is training.average.model
    assert not torch.equal(training.result[5].weight, training.model[5].weight)


def test_checkpoints_fall_due_by_steps():
    checkpointer = Recorder(every=5)
    run(checkpointer=checkpointer, epochs=2)
    assert [state["step"] for _, state in checkpointer.saved] == [5, 8, 10, 15, 16]


def checkpoint(tmp_path):
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, run(epochs=1), {"data": "x"})
    return path


def test_a_checkpoint_of_another_network_is_named(tmp_path):
    other = Training(nn.Sequential(nn.Conv2d(1, 5, 3), nn.Linear(4, 2)), OptimizerConfig())
    with pytest.raises(
        CheckpointError,
        match=r"belongs to another network\. Unexpected: model/1\.num_batches.*of another shape: model/0\.bias",
    ):
        load_checkpoint(checkpoint(tmp_path), other)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_checkpoint_is_named(tmp_path, keep):
    path = checkpoint(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"last\.safetensors is truncated or not a checkpoint"):
        load_checkpoint(path, Training(small(), OptimizerConfig()))


def test_a_changed_byte_and_a_missing_file_are_named(tmp_path):
    path = checkpoint(tmp_path)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged: its CRC-32 differs"):
        load_checkpoint(path, Training(small(), OptimizerConfig()))
    header = bytearray(checkpoint(tmp_path).read_bytes())
    place = header.index(b'step\\": 8')
    header[place + 8 : place + 9] = b"9"
    path.write_bytes(header)
    with pytest.raises(CheckpointError, match="is damaged: its CRC-32 differs"):
        load_checkpoint(path, Training(small(), OptimizerConfig()))
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        load_checkpoint(tmp_path / "absent", Training(small(), OptimizerConfig()))


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    path = checkpoint(tmp_path)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device. What was there before is intact"):
        save_checkpoint(path, run(epochs=1), {"data": "y"})
    assert path.read_bytes() == before


@pytest.fixture
def ctrl_c_raises():
    """As in a terminal; a shell without job control starts its background processes with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_raises")
def test_first_signal_asks_and_second_exits_immediately():
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.asked == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_that_a_launcher_passes_on_as_sigterm_is_one_request(monkeypatch):
    seconds = [10.0]
    monkeypatch.setattr("neocog.training.interrupt.time.monotonic", lambda: seconds[0])
    interrupt = Interrupt()
    interrupt.handle(signal.SIGINT, None)
    interrupt.handle(signal.SIGTERM, None)
    assert interrupt.asked == signal.SIGINT
    with pytest.raises(KeyboardInterrupt):
        interrupt.handle(signal.SIGINT, None)
    seconds[0] = 13.0
    with pytest.raises(KeyboardInterrupt):
        interrupt.handle(signal.SIGTERM, None)


class Brightness:
    """A regression task: the mean brightness of an image, followed by its absolute error, of which less is better."""

    criterion = Criterion("mae", "min")
    progress_metric = "mae"
    progress_percent = False
    dense = False
    weights = None

    def loss(self, outputs, targets):
        return F.mse_loss(outputs[:, 0], targets)

    def logits(self, outputs):
        return outputs

    def progress_sum(self, logits, targets):
        return float((logits[:, 0] - targets).abs().sum())


def test_task_with_values_as_targets_is_trained_and_chosen_by_its_own_metric():
    task, values = Brightness(), (IMAGES.float().mean((1, 2, 3)) / 255).float()
    data = InMemoryDataset(IMAGES.to(torch.uint8), values, np.arange(120, dtype=np.uint64))
    losses = iter([0.3, 0.2, 0.4])
    optimizer, model = OptimizerConfig(lr=0.01), small()
    training = Training(model, optimizer, executor=StepExecutor(model, task.loss, PLAIN, torch.device("cpu")))
    fit(
        training,
        Loader(data, SPEC, batch_size=16, seed=0),
        lambda model: {"loss": 1.0, "mae": next(losses)},
        task,
        FitSettings(train=TrainConfig(epochs=3, patience=1), optimizer=optimizer, schedule=ScheduleConfig()),
        checkpointer=Recorder(),
        interrupt=Interrupt(),
    )
    first, *_, last = training.state.history
    assert set(first) >= {"train_loss", "train_mae", "val_loss", "val_mae"}
    assert not any("accuracy" in key for key in first)
    assert last["train_mae"] < first["train_mae"]
    assert training.state.best_epoch == 1 and training.state.stopped_early


def test_meter_shows_a_metric_that_is_not_a_share_as_a_number():
    meter = Meter(State(), Brightness(), explain=None)
    meter.add(0, StepLoss([0.25], [1.0], 1.0), torch.tensor([[0.5], [1.0]]), torch.tensor([0.0, 1.0]))
    assert meter.text().startswith("loss 0.2500  mae 0.2500  ")


def test_earlier_checkpoint_counts_its_correct_answers_on():
    state = State.from_json({"step": 5, "loss_sum": 1.5, "num_correct": 7, "num_seen": 10, "history": []})
    assert (state.step, state.progress_sum, state.num_seen) == (5, 7, 10)
    assert State.from_json(state.to_json()) == state
