import errno
import json
import os
import threading

import numpy as np
import pytest
import torch
from torch import nn

from neocog.data import ImagePreprocess
from neocog.errors import CheckpointError, DivergenceError, StorageError
from neocog.loading import InMemoryDataset, Loader
from neocog.runs import Run
from neocog.runs import checkpoints as module
from neocog.runs.checkpoints import RunCheckpointer, list_earlier
from neocog.tasks import Classification
from neocog.training import (
    FitSettings,
    Interrupt,
    Interrupted,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
    Training,
    fit,
    read_checkpoint,
    save_checkpoint,
)
from neocog.training.state import build_seeded

GENERATOR = np.random.default_rng(0)
LABELS = torch.from_numpy(GENERATOR.integers(0, 3, 48))
IMAGES = torch.from_numpy(GENERATOR.integers(0, 120, (48, 1, 6, 6), dtype=np.uint8)) + LABELS[:, None, None, None] * 60
DATA = InMemoryDataset(IMAGES.to(torch.uint8), LABELS, np.arange(48, dtype=np.uint64))
SPEC = ImagePreprocess(size=(6, 6), channels=1, mean=(0.5,), std=(0.3,))
TASK = Classification(("a", "b", "c"))
OPTIMIZER = OptimizerConfig(name="adamw", lr=0.01)


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path, "r", "")


def fresh():
    model = build_seeded(
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)), 1
    )
    return Training(model, OPTIMIZER, ema_decay=0.9)


def keep(run, config=None, **options):
    config = config or TrainConfig(checkpoint_seconds=0)
    return RunCheckpointer(run, config, **({"data": "d", "settings": "s"} | options))


def take_steps(training, count=1):
    for _ in range(count):
        step = training.state.step
        images = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(step))
        training.optimizer.zero_grad()
        training.model(images).square().mean().backward()
        training.optimizer.step()
        training.average.update(step)
        training.state.step += 1


def end_epoch(training, checkpointer, *, best):
    number = len(training.state.history) + 1
    row = dict.fromkeys(
        ("lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds", "samples_per_second"), 0.5
    )
    training.state.history.append({"epoch": number, **row})
    if best:
        training.state.best_epoch = number - 1
    checkpointer.epoch_done(training, best=best)


def content(path):
    found = read_checkpoint(path)
    return found.tensors, found.state


def copied(training):
    return {key: value.detach().clone() for key, value in training.tensors().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture
def full(monkeypatch):
    """A disk that is full while `full` is set; it is not from the start."""
    real, disk = os.fsync, threading.Event()

    def fsync(descriptor):
        if disk.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return disk


def test_background_checkpoint_equals_a_direct_one(run, tmp_path):
    training, checkpointer = fresh(), keep(run)
    for number in range(3):
        take_steps(training, 2)
        save_checkpoint(tmp_path / f"{number}", training, checkpointer.about)
        checkpointer.save(training)
        take_steps(training)
        checkpointer.close()
        assert run.last.read_bytes() == (tmp_path / f"{number}").read_bytes()


def test_training_continues_while_the_copy_is_written(run, monkeypatch):
    training, checkpointer, release, real = fresh(), keep(run), threading.Event(), module.write_last

    def slow(*args):
        assert release.wait(20)
        real(*args)

    monkeypatch.setattr(module, "write_last", slow)
    take_steps(training)
    before = copied(training)
    checkpointer.save(training)
    take_steps(training, 3)  # while the writer has not yet read a byte
    with torch.no_grad():
        for parameter in training.model.parameters():
            parameter.fill_(7)
    assert not run.last.exists()
    release.set()
    checkpointer.close()
    tensors, state = content(run.last)
    assert state["step"] == 1
    assert same(tensors, before)


def test_no_save_falls_due_by_time_while_one_is_being_written(run, monkeypatch):
    training, release = fresh(), threading.Event()
    checkpointer = keep(run, TrainConfig(checkpoint_seconds=1e-9))
    monkeypatch.setattr(module, "write_last", lambda *_: release.wait(20))
    assert checkpointer.due(1)
    checkpointer.save(training)
    assert not checkpointer.due(2)
    release.set()
    checkpointer.close()
    assert checkpointer.due(3)
    assert [
        step for step in range(1, 9) if keep(run, TrainConfig(checkpoint_steps=4, checkpoint_seconds=0)).due(step)
    ] == [
        4,
        8,
    ]


def test_an_epoch_leaves_best_last_results_and_a_line_in_the_log(run):
    training, checkpointer = fresh(), keep(run, keep=2)
    with checkpointer:
        for best in (True, False, False):
            take_steps(training)
            end_epoch(training, checkpointer, best=best)
    assert content(run.best)[1]["step"] == 1
    assert [content(path)[1]["step"] for path in (run.last, *list_earlier(run))] == [3, 2]
    assert len(run.results.read_text().splitlines()) == 4
    events = [json.loads(line) for line in run.events.read_text().splitlines()]
    assert [(event["event"], event["best"]) for event in events] == [
        ("epoch", True),
        ("epoch", False),
        ("epoch", False),
    ]


def test_best_is_on_the_disk_before_last_refers_to_it(run, monkeypatch):
    training, checkpointer = fresh(), keep(run)

    def die(*_):
        raise StorageError("died between the two")

    monkeypatch.setattr(module, "write_last", die)
    end_epoch(training, checkpointer, best=True)
    with pytest.raises(StorageError, match="died between the two"):
        checkpointer.close()
    monkeypatch.undo()
    again = fresh()
    keep(run).restore(again)
    assert again.state.best_epoch == 0
    assert content(run.best)[1]["best_epoch"] == 0


def test_run_resumes_from_the_checkpoint_before_a_damaged_one(run, capsys):
    training, checkpointer = fresh(), keep(run)
    for _ in range(2):
        take_steps(training)
        checkpointer.save(training)
    checkpointer.close()
    run.last.write_bytes(run.last.read_bytes()[:-5])
    again = fresh()
    assert keep(run).restore(again)["data"] == "d"
    assert again.state.step == 1
    assert "The run resumes from step-00000001.safetensors, after step 1." in capsys.readouterr().err
    take_steps(again)
    assert same(copied(again), copied(training))


def test_all_damaged_stops(run):
    training, checkpointer = fresh(), keep(run)
    for _ in range(2):
        take_steps(training)
        checkpointer.save(training)
    checkpointer.close()
    for path in (run.last, *list_earlier(run)):
        path.write_bytes(b"")
    with pytest.raises(
        CheckpointError, match=r"damaged: last\.safetensors is truncated.*step-00000001\.safetensors is trun"
    ):
        keep(run).restore(fresh())


def test_weights_of_another_epoch_are_not_taken_for_the_best(run):
    training, checkpointer = fresh(), keep(run)
    with checkpointer:
        end_epoch(training, checkpointer, best=True)
        first = run.best.read_bytes() if checkpointer.close() is None else b""
        take_steps(training)
        end_epoch(training, checkpointer, best=True)
    run.best.write_bytes(first)
    with pytest.raises(
        CheckpointError, match=r"those of epoch 2, are lost: .*best\.safetensors holds those of epoch 1"
    ):
        keep(run).restore(fresh())
    run.best.unlink()
    with pytest.raises(CheckpointError, match=r"those of epoch 2, are lost: .*best\.safetensors is missing or damaged"):
        checkpointer.restore_best(training)


def test_a_full_disk_stops_at_the_next_save_with_the_last_one_intact(run, full):
    training, checkpointer = fresh(), keep(run)
    take_steps(training)
    checkpointer.save(training)
    checkpointer.close()
    before = run.last.read_bytes()
    full.set()
    take_steps(training)
    checkpointer.save(training)
    with pytest.raises(StorageError, match=r"last\.safetensors could not be written: No space left on device"):
        checkpointer.save(training)
    checkpointer.close()  # it is raised once
    assert run.last.read_bytes() == before
    again = fresh()
    keep(run).restore(again)
    assert again.state.step == 1


def test_full_disk_is_noted_at_each_save_and_training_continues(run, full, capsys):
    training, checkpointer = fresh(), keep(run, on_full="continue")
    take_steps(training)
    with checkpointer:
        checkpointer.save(training)
        checkpointer.close()
        before = run.last.read_bytes()
        full.set()
        for _ in range(3):
            take_steps(training)
            checkpointer.save(training)
    said = capsys.readouterr().err
    assert said.count("last.safetensors could not be written: No space left on device") == 3
    assert said.count("Training continues without this checkpoint, as train.on_full is continue.") == 3
    assert run.last.read_bytes() == before
    full.clear()
    with checkpointer:
        checkpointer.save(training)
    assert content(run.last)[1]["step"] == 4


def test_training_continues_only_after_a_full_disk(run, monkeypatch):
    def refuse(_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    checkpointer = keep(run, on_full="continue")
    monkeypatch.setattr(os, "fsync", refuse)
    checkpointer.save(fresh())
    with pytest.raises(StorageError, match="Permission denied"):
        checkpointer.close()


@pytest.mark.parametrize("freed", [True, False])
def test_the_best_weights_outlast_a_full_disk(run, full, freed):
    training, checkpointer = fresh(), keep(run, on_full="continue")
    with checkpointer:
        end_epoch(training, checkpointer, best=True)
        checkpointer.close()
        full.set()
        take_steps(training)
        end_epoch(training, checkpointer, best=True)
        best = copied(training)
        take_steps(training)
        checkpointer.save(training)
        checkpointer.close()
        assert content(run.best)[1]["best_epoch"] == content(run.last)[1]["best_epoch"] == 0
        if freed:
            full.clear()
        take_steps(training)
        end_epoch(training, checkpointer, best=False)
    if freed:
        assert same(content(run.best)[0], best)
    state = training.state
    checkpointer.restore_best(training)
    assert same(copied(training), best)
    assert training.state is state


def test_a_stop_does_not_claim_to_be_saved_when_it_is_not(run, full):
    for on_full in ("stop", "continue"):
        full.set()
        checkpointer = keep(run, on_full=on_full)
        with pytest.raises(StorageError, match="No space left"), checkpointer:
            checkpointer.save(fresh())
            raise Interrupted("Stopped")


def test_what_ended_the_training_is_not_hidden_by_a_full_disk(run, full, capsys):
    full.set()
    checkpointer = keep(run)
    with pytest.raises(DivergenceError, match="NaN"), checkpointer:
        checkpointer.save(fresh())
        raise DivergenceError("NaN")
    assert "No space left on device" in capsys.readouterr().err


def test_all_is_written_when_the_block_ends_by_an_error(run):
    training, checkpointer = fresh(), keep(run)
    take_steps(training)
    with pytest.raises(KeyboardInterrupt), checkpointer:
        checkpointer.save(training)
        raise KeyboardInterrupt
    assert content(run.last)[1]["step"] == 1


def test_a_process_that_does_not_write_leaves_nothing(run, full, capsys):
    full.set()
    training, checkpointer = fresh(), keep(run, TrainConfig(checkpoint_seconds=1000), writes=False)
    checkpointer.saved_at = -1e9
    assert checkpointer.due(1)
    with checkpointer:
        checkpointer.save(training)
        assert not checkpointer.due(2)
        end_epoch(training, checkpointer, best=True)
    assert [path for path in run.path.rglob("*") if path.is_file()] == []
    assert capsys.readouterr().err == ""


def test_facts_added_to_about_are_restored(run):
    training, checkpointer = fresh(), keep(run)
    assert checkpointer.restore(training) is None
    checkpointer.about["speed"] = {"precision": "bf16"}
    with checkpointer:
        checkpointer.save(training)
    assert keep(run).restore(fresh())["speed"] == {"precision": "bf16"}


def validate(model):
    model.eval()
    with torch.no_grad():
        return TASK.validation(model(SPEC.normalise(DATA.inputs)), DATA.labels)


class StopAfter(RunCheckpointer):
    """Asks to stop after a step, as a signal would."""

    def __init__(self, *args, interrupt, step, **options):
        super().__init__(*args, **options)
        self.interrupt, self.step = interrupt, step

    def due(self, step):
        self.interrupt.asked = int(step == self.step)
        return super().due(step)


def train(run, training, stop=None):
    config = TrainConfig(epochs=3, batch_size=8, ema_decay=0.9, checkpoint_steps=1, checkpoint_seconds=0)
    interrupt = Interrupt()
    checkpointer = StopAfter(run, config, data="d", settings="s", interrupt=interrupt, step=stop)
    checkpointer.restore(training)
    with checkpointer:
        fit(
            training, Loader(DATA, SPEC, batch_size=8, seed=0), validate, TASK,
            FitSettings(train=config, optimizer=OPTIMIZER, schedule=ScheduleConfig()),
            checkpointer=checkpointer, interrupt=interrupt,
        )  # fmt: skip
    checkpointer.restore_best(training)
    return training


def test_stopped_and_damaged_a_run_ends_with_the_same_bits(tmp_path):
    whole = train(Run.create(tmp_path, "whole", ""), fresh())
    run = Run.create(tmp_path, "stopped", "")
    for stop in (4, 6, 11):
        with pytest.raises(Interrupted, match=f"Stopped after step {stop}"):
            train(run, fresh(), stop)
    run.last.write_bytes(run.last.read_bytes()[:-1])
    stopped = train(run, fresh())
    assert same(copied(whole), copied(stopped))
    assert [row["val_loss"] for row in whole.state.history] == [row["val_loss"] for row in stopped.state.history]
    assert same(content(tmp_path / "whole/checkpoints/last.safetensors")[0], content(run.last)[0])
